// The form of the clip that is being picked: its times to type, its label, its profile, and the button that makes it.

import {get, post} from "./api.js";
import {h, iconButton, say, setText} from "./dom.js";
import {clock, parseClock} from "./format.js";
import {toastError} from "./ui.js";

// `made(clip)` when the server has taken it; `nextLabel()` is what it is called where nothing is typed.
export function picker({recording, selection, player, made, nextLabel}) {
  const start = timeField("In", "I", (time) => selection.setStart(time), () => selection.setStart(player.time));
  const end = timeField("Out", "O", (time, relative) => selection.setEnd(relative ? selection.start + time : time), () => selection.setEnd(player.time));
  const length = h("output", {class: "time length"}, "–");
  const label = h("input", {id: "label", maxlength: "200", autocomplete: "off", placeholder: nextLabel()});
  const profile = h("select", {"aria-label": "Profile", disabled: true}, h("option", {value: "default"}, "default"));
  const profileField = h("label", {class: "field", hidden: true}, "Profile", profile);
  const make = h("button", {class: "primary make", disabled: true}, "Make clip", h("kbd", {"aria-hidden": "true"}, "⏎"));
  const clear = iconButton("x", "Clear the selection (X)", () => selection.clear(), {disabled: true});
  const problem = h("p", {class: "bad small", role: "alert"});
  const hint = h("p", {class: "muted small hint"}, "Drag across the strip, or press ", h("kbd", {}, "I"), " and ", h("kbd", {}, "O"), " while it plays. ", h("kbd", {}, "?"), " lists all keys.");

  get("/v1/profiles").then(({data}) => {
    profile.replaceChildren(...data.map((each) => h("option", {value: each.name}, describe(each))));
    profile.disabled = false;
    profileField.hidden = data.length < 2;
  }).catch(toastError);

  const draw = () => {
    start.show(selection.start);
    end.show(selection.end);
    setText(length, selection.empty ? "–" : clock(selection.length));
    make.disabled = selection.empty;
    clear.disabled = selection.empty;
    label.placeholder = nextLabel();
    problem.textContent = "";
  };
  selection.addEventListener("change", draw);

  async function submit() {
    if (selection.empty) {
      say("Nothing is selected yet");
      return;
    }
    const body = {
      label: label.value.trim() || nextLabel(),
      start_seconds: Number(selection.start.toFixed(6)),
      end_seconds: Number(selection.end.toFixed(6)),
      profile: profile.value,
    };
    // The next one can be picked at once: the form is empty before the server has answered.
    const before = [selection.start, selection.end, label.value];
    selection.clear();
    label.value = "";
    try {
      made(await post(`/v1/recordings/${recording.recording_id}/clips`, body));
      say(`${body.label} is queued`);
    } catch (error) {
      if (selection.empty) {
        selection.set(before[0], before[1]);
        [, , label.value] = before;
      }
      problem.textContent = error.message;
    }
    label.placeholder = nextLabel();
  }

  const node = h("form", {class: "picker panel", "aria-label": "Clip", onsubmit: (event) => { event.preventDefault(); submit(); }},
    start.node, end.node,
    h("div", {class: "field"}, h("span", {class: "muted small"}, "Length"), length),
    h("label", {class: "field grow label-field"}, "Label", label),
    profileField,
    h("div", {class: "row buttons"}, clear, make),
    problem, hint,
  );
  return {
    node,
    submit,
    draw,
    focusLabel: () => label.focus(),
  };
}

// A time that can be typed: `90.5`, `1:02.500`, and for the out point `+10` after the in point.
function timeField(name, key, onset, onhere) {
  const input = h("input", {class: "time", inputmode: "decimal", autocomplete: "off", spellcheck: "false", placeholder: "0:00.000", "aria-label": `${name} point`});
  let shown = null;
  const take = () => {
    const text = input.value.trim();
    const relative = name === "Out" && text.startsWith("+");
    const time = parseClock(relative ? text.slice(1) : text);
    if (text && time === null) {
      input.setAttribute("aria-invalid", "true");
      return;
    }
    input.removeAttribute("aria-invalid");
    if (text && (relative || time !== shown)) onset(time, relative);
    else show(shown);
  };
  const show = (time) => {
    shown = time;
    input.removeAttribute("aria-invalid");
    input.value = time === null ? "" : clock(time);
  };
  input.addEventListener("focus", () => input.select());
  input.addEventListener("change", take);
  input.addEventListener("keydown", (event) => {
    if (event.key === "Enter") {
      event.preventDefault();
      take();
    }
  });
  const here = h("button", {type: "button", title: `Set the ${name.toLowerCase()} point here (${key})`, "aria-label": `Set the ${name.toLowerCase()} point here`, onclick: onhere}, h("kbd", {"aria-hidden": "true"}, key));
  return {node: h("div", {class: "field"}, h("span", {class: "muted small", "aria-hidden": "true"}, name), h("div", {class: "joined"}, input, here)), show};
}

function describe(profile) {
  const parts = [];
  if (profile.container !== "mp4") parts.push(profile.container);
  if (profile.video !== "h264" && profile.video !== "none") parts.push(profile.video);
  if (profile.max_height) parts.push(`${profile.max_height}p`);
  return [profile.name, ...parts].join(" · ");
}
