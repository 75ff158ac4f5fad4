"""Examples for the help of every command. A test checks them against the commands and options."""

from __future__ import annotations

import click

EXAMPLES: dict[str, tuple[str, ...]] = {
    "init": ("clipengine init", "clipengine init --config /etc/clipengine.toml --kind s3"),
    "serve": ("clipengine serve", "clipengine serve --host 0.0.0.0 --port 9000 --config /etc/clipengine.toml"),
    "worker": ("clipengine worker --config /etc/clipengine.toml --data /var/lib/clipengine",),
    "cut": (
        "clipengine cut meeting.mp4 clip.mp4 --start 1:02.5 --end 1:10",
        "clipengine cut meeting.mp4 clip.mp4 --start 1:02.5 --end 1:10 --aspect 9:16 --fit blur --max-height 1280",
        "clipengine cut talk.mp4 clip.mp4 --start 60 --end 90 --subtitles talk.en.vtt",
        "clipengine cut s3://recordings/h_01/recording.mp4 clip.webm --start 60 --end 90 --profile web",
        "clipengine cut match.mp4 goal.gif --start 12:05 --end 12:09 --max-height 240",
        "clipengine cut match.mp4 goals.mp4 --part 12:05-12:20 --part 47:30-47:52",
        "clipengine cut match.mp4 goals.mp4 --start 12:05 --end 12:20 --snap keyframe --render smart",
        "clipengine cut match.mp4 clips/ --from goals.csv",
    ),
    "transcribe": (
        "clipengine transcribe meeting.mp4 meeting.vtt --model-folder /srv/models/small --language en",
        "clipengine transcribe meeting.mp4 --format json > meeting.json",
    ),
    "mcp": ("clipengine mcp", "clipengine mcp --read-only"),
    "recordings add": (
        "clipengine recordings add relay/recordings/h_01/recording.mp4 --wait",
        "clipengine recordings add --upload meeting.mp4 --name 'Monday' --wait",
        "clipengine recordings add https://media.example.org/meeting.mp4",
        "clipengine recordings add egress/r1/index.m3u8 --live --wait",
    ),
    "recordings import": (
        "clipengine recordings import relay/recordings/ --dry-run",
        "clipengine recordings import relay/recordings/",
    ),
    "recordings list": (
        "clipengine recordings list --status failed",
        "clipengine recordings list --json | jq '.[].name'",
    ),
    "recordings show": ("clipengine recordings show rec_01j9x2…",),
    "recordings end": ("clipengine recordings end rec_01j9x2…",),
    "recordings update": (
        "clipengine recordings update rec_01j9x2… --name 'Board meeting' --tag board --tag 2025",
        "clipengine recordings update rec_01j9x2… --tag ''",
    ),
    "recordings suggest": ("clipengine recordings suggest rec_01j9x2… --language en",),
    "recordings transcribe": ("clipengine recordings transcribe rec_01j9x2… --language en --wait",),
    "recordings rm": ("clipengine recordings rm rec_01j9x2… --object",),
    "transcripts put": (
        "clipengine transcripts put rec_01j9x2… en meeting.vtt",
        "clipengine transcripts put rec_01j9x2… pt-BR reuniao.srt",
    ),
    "transcripts get": ("clipengine transcripts get rec_01j9x2… en meeting.srt",),
    "transcripts list": ("clipengine transcripts list rec_01j9x2…",),
    "transcripts search": (
        "clipengine transcripts search 'annual budget'",
        "clipengine transcripts search budg* --recording rec_01j9x2… --language en",
    ),
    "transcripts rm": ("clipengine transcripts rm rec_01j9x2… en",),
    "clips create": (
        "clipengine clips create rec_01j9x2… key-moment --start 1:02.5 --end 1:10",
        "clipengine clips create rec_01j9x2… key-moment --start 60 --end 90 --wait --download key-moment.mp4",
        "clipengine clips create rec_01j9x2… highlights --part 12-20.5 --part 61.2-70@rec_01j9y7…",
        "clipengine clips create rec_01j9x2… goal --from goals.edl --snap silence --snap-within 1",
        "clipengine clips create rec_01j9x2… goal --last 30 --download",
    ),
    "clips by-time": (
        "clipengine clips by-time parcel --series front --series yard --start 2026-11-28T23:59:50Z "
        "--end 2026-11-29T00:00:20Z",
    ),
    "clips export": (
        "clipengine clips export rec_01j9x2… > ranges.csv",
        "clipengine clips export rec_01j9x2… --format edl --output match.edl",
    ),
    "status": ("clipengine status", "clipengine status --json | jq .queue"),
    "clips list": (
        "clipengine clips list --recording rec_01j9x2… --status complete",
        "clipengine clips list --search 'goal smith' --tag league --meta team=blue --sort -duration",
    ),
    "clips show": ("clipengine clips show clip_01j9xz… --json",),
    "clips wait": ("clipengine clips wait clip_01j9xz… --timeout 60",),
    "clips cancel": ("clipengine clips cancel clip_01j9xz…",),
    "clips retry": ("clipengine clips retry clip_01j9xz…",),
    "clips update": ("clipengine clips update clip_01j9xz… --label 'winning goal' --meta team=blue",),
    "clips rm": (
        "clipengine clips rm clip_01j9xz… clip_01j9y3…",
        "clipengine clips rm --tag auto --created-before 2026-01-01T00:00:00Z --dry-run",
    ),
    "clips variants": (
        """clipengine clips variants --tag auto --changes '{"output": {"aspect": "9:16"}}' --dry-run""",
        """clipengine clips variants clip_01j9xz… --changes '{"profile": "web"}'""",
    ),
    "clips batch": ("clipengine clips batch bat_01j9xz…", "clipengine clips batch bat_01j9xz… --cancel"),
    "clips download": ("clipengine clips download clip_01j9xz… key-moment.mp4",),
    "clips archive": ("clipengine clips archive clip_01j9xz… clip_01j9y3… --output match.zip",),
    "clips share": (
        "clipengine clips share clip_01j9xz…",
        "clipengine clips share clip_01j9xz… --expires-at 2030-01-31T12:00:00Z --no-download",
    ),
    "clips shares": ("clipengine clips shares clip_01j9xz…",),
    "clips unshare": ("clipengine clips unshare clip_01j9xz… shr_01ja2b…",),
    "keys create": (
        'export CLIPENGINE_API_KEY="$(clipengine keys create laptop)"',
        "clipengine keys create dashboard --scope read",
    ),
    "keys list": ("clipengine keys list --data /var/lib/clipengine",),
    "keys revoke": ("clipengine keys revoke laptop",),
    "audit verify": (
        "clipengine audit verify",
        "clipengine audit verify --head 12:3fa9…",
    ),
    "audit export": ("clipengine audit export > audit.jsonl",),
    "webhooks add": (
        "clipengine webhooks add https://example.org/hooks",
        'printf %s "$SECRET" | clipengine webhooks add https://example.org/hooks --secret-file -',
    ),
    "rules add": ("clipengine rules add meetings.json", "clipengine rules add - < meetings.json"),
    "rules list": ("clipengine rules list",),
    "rules show": ("clipengine rules show rul_01j9x2…",),
    "rules try": ("clipengine rules try rul_01j9x2… rec_01j9x2…",),
    "rules enable": ("clipengine rules enable rul_01j9x2…",),
    "rules disable": ("clipengine rules disable rul_01j9x2…",),
    "rules backfill": ("clipengine rules backfill rul_01j9x2…", "clipengine rules backfill rul_01j9x2… --cancel"),
    "rules log": ("clipengine rules log rul_01j9x2… --limit 10",),
    "rules rm": ("clipengine rules rm rul_01j9x2…",),
    "webhooks list": ("clipengine webhooks list",),
    "webhooks rm": ("clipengine webhooks rm whk_01j9x2…",),
    "webhooks clip-secret": ("clipengine webhooks clip-secret --data /srv/clipengine",),
    "webhooks test": ("clipengine webhooks test whk_01j9x2…",),
    "verify": (
        "clipengine verify goal-clip_01j9xz….mp4 goal-clip_01j9xz….json",
        "clipengine verify --public-key",
    ),
    "config": ("clipengine config", "clipengine config --json | jq .storage"),
    "completion": (
        'eval "$(clipengine completion bash)"     # in ~/.bashrc',
        "clipengine completion fish > ~/.config/fish/completions/clipengine.fish",
    ),
    "doctor": ("clipengine doctor --config /etc/clipengine.toml",),
    "backup": ("clipengine backup /var/backups/clipengine.db",),
    "restore": ("clipengine restore /var/backups/clipengine.db --data /var/lib/clipengine",),
    "ledger copy": ("clipengine ledger copy --to postgresql://clipengine@db.example.org/clipengine",),
    "reset-secrets": ("clipengine reset-secrets --data /var/lib/clipengine",),
}


def with_examples(command: click.Command, path: str) -> click.Command:
    """Append the examples to the help of the command, or of each command of a group, and return it."""
    if isinstance(command, click.Group):
        for name, each in command.commands.items():
            with_examples(each, f"{path} {name}")
    elif path in EXAMPLES:
        command.epilog = "\b\nExamples:\n" + "\n".join(f"  {example}" for example in EXAMPLES[path])
    return command
