// German texts, by module. The key is the English text. An entry for a number has a text for each category of
// Intl.PluralRules. Only JSON and lines of comments: tests read this file.
//
// Terms: recording = Aufnahme; clip = Clip; range = Zeitbereich; selection = Auswahl; segment = Segment; in point =
// Startpunkt; out point = Endpunkt; frame = Einzelbild; keyframe = Schlüsselbild; timeline = Zeitleiste; filmstrip =
// Filmstreifen; waveform = Wellenform; transcript = Transkript; cue = Zeile; profile = Profil; label = Bezeichnung;
// tag = Schlagwort; store = Speicher; key = Schlüssel; delivery = Zustellung; queue = Warteschlange; encoder = Encoder;
// engine = Engine; retry = wiederholen; remove = entfernen (from a list); delete = löschen (with its file).
// The reader is not addressed: "Aufnahme hochladen", not "Laden Sie eine Aufnahme hoch".
export default {
  // app.js, lib/language_menu.js
  "Recordings": "Aufnahmen",
  "Clips": "Clips",
  "Webhooks": "Webhooks",
  "System": "System",
  "Server unreachable": "Server nicht erreichbar",
  "The page may be out of date. It reconnects by itself.": "Die Seite ist vielleicht nicht aktuell. Sie verbindet sich von selbst neu.",
  "Main": "Hauptmenü",
  "Docs": "Hilfe",
  "Sign out ({name})": "Abmelden ({name})",
  "Failing: {checks}": "Gestört: {checks}",
  "Light theme": "Helles Design",
  "Dark theme": "Dunkles Design",
  "Skip to content": "Zum Inhalt springen",
  "The session has ended. Sign in again.": "Die Sitzung ist beendet. Bitte neu anmelden.",
  "This link was already used, or it is older than 15 minutes. Sign in with a key.": "Dieser Link wurde schon benutzt oder ist älter als 15 Minuten. Anmeldung mit einem Schlüssel ist möglich.",
  "Language": "Sprache",

  // views/sign_in.js
  "Sign in": "Anmelden",
  "The server does not know this key, or it was revoked.": "Der Server kennt diesen Schlüssel nicht, oder er wurde widerrufen.",
  "Exact clips from any recording.": "Exakte Clips aus jeder Aufnahme.",
  "API key": "API-Schlüssel",
  "No key? Open the link that {command} prints in a terminal; it signs in one browser, once. Or create a key on the server, in the folder in which the engine was started:": "Kein Schlüssel? Den Link öffnen, den {command} im Terminal ausgibt; er meldet einen Browser einmal an. Oder auf dem Server einen Schlüssel anlegen, in dem Ordner, in dem die Engine gestartet wurde:",
  "In a checkout, the command is {command}.": "In einem Checkout heißt der Befehl {command}.",
  "Documentation": "Dokumentation",

  // player/timeline.js
  "{count} clips and segments: zoom in": {"one": "{count} Clip: vergrößern", "other": "{count} Clips und Segmente: vergrößern"},
  "{count} chapters: zoom in": {"one": "{count} Kapitel: vergrößern", "other": "{count} Kapitel: vergrößern"},

  // lib/format.js
  "Next in the queue": "Als nächster an der Reihe",
  "Place {position} in the queue": "Platz {position} in der Warteschlange",
  "{place} · starts {start}, ready {end}": "{place} · Start {start}, fertig {end}",

  // lib/bulk_tags.js
  "Tags…": "Schlagwörter…",
  "Tags, separated by commas": "Schlagwörter, durch Kommas getrennt",
  "Tags of {count} items": {"one": "Schlagwörter von {count} Eintrag", "other": "Schlagwörter von {count} Einträgen"},
  "Add": "Hinzufügen",
  "Remove": "Entfernen",
  "Save": "Speichern",
  "{done} of {total}": "{done} von {total}",
  "{count} changed": {"one": "{count} geändert", "other": "{count} geändert"},
  "Tags saved": "Schlagwörter gespeichert",
  "The tags of {count} could not be changed": {"one": "Die Schlagwörter von {count} Eintrag konnten nicht geändert werden", "other": "Die Schlagwörter von {count} Einträgen konnten nicht geändert werden"},

  // player/jumps.js
  "Jump to": "Springen zu",
  "Next keyframe": "Nächstes Schlüsselbild",
  "Previous keyframe": "Voriges Schlüsselbild",
  "No keyframe found": "Kein Schlüsselbild gefunden",
  "Next silence": "Nächste Stille",
  "Previous silence": "Vorige Stille",
  "No silence found": "Keine Stille gefunden",
  "Next scene": "Nächste Szene",
  "Previous scene": "Vorige Szene",
  "No scene found": "Keine Szene gefunden",
  "Searched from {from} to {to}.": "Durchsucht von {from} bis {to}.",
};
