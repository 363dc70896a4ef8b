// SPDX-License-Identifier: AGPL-3.0-or-later
// The clips of one event from all cameras that saw it, side by side by capture time. The server has written the page:
// `section[data-player]` with a `figure[data-view]` for each camera and the controls; without this script each video
// keeps its own controls. A clip that cannot be shown says why in its place, and the rest goes on.
//
// Keys, while the player is the current one: Space plays and pauses, left and right step a frame (with Shift a second),
// Home and End, G goes to the reach, V changes the speed, O boxes and hands, 1 to 9 enlarge a camera, 0 none.

import { SharedClock } from "./reviewer-clock.js";
import { Overlay } from "./reviewer-overlay.js";

const SPEEDS = [1, 0.5, 0.25];

export class Player {
  constructor(root) {
    this.root = root;
    this.texts = JSON.parse(root.querySelector("script[data-texts]").textContent);
    this.moment = Number(root.dataset.moment);
    this.figures = [...root.querySelectorAll("figure[data-view]")];
    this.views = this.figures.filter((f) => f.querySelector("video")).map((f) => this.view(f));
    this.clock = new SharedClock(this.views, Number(root.dataset.span), {
      fps: Number(root.dataset.fps) || 10,
      onChange: () => this.show(),
    });
    this.scrub = root.querySelector("[data-scrub]");
    this.time = root.querySelector("[data-time]");
    this.said = root.querySelector("[data-say]");
    this.connect();
    this.enlarge(0, false);
    this.clock.time = this.moment;
    this.show();
  }

  view(figure) {
    const video = figure.querySelector("video");
    const { start, end, place } = figure.dataset;
    const view = { figure, video, start: Number(start), end: Number(end), times: [], gone: false, opened: false };
    view.overlay = new Overlay(figure.querySelector("canvas"), video, place ? JSON.parse(place) : null);
    video.controls = false;
    video.addEventListener("loadedmetadata", () => this.clock.seek(this.clock.time));
    video.addEventListener("error", () => this.lose(view));
    return view;
  }

  // Load the clips: done when the player is first shown, so that a case with many events asks for one event's videos.
  open() {
    for (const view of this.views) {
      if (view.opened) continue;
      view.opened = true;
      view.video.preload = "auto";
      view.video.load();
      this.annotate(view);
    }
  }

  async annotate(view) {
    try {
      const answer = await fetch(view.figure.dataset.overlay, { credentials: "same-origin" });
      if (!answer.ok) return; // a clip without boxes is still a clip
      const { frames } = await answer.json();
      view.overlay.frames = frames;
      view.times = frames.map((frame) => view.start + frame.t_s);
      view.overlay.draw();
    } catch {
      // the same
    }
  }

  lose(view) {
    if (view.gone) return;
    view.gone = true;
    const { figure } = view;
    figure.classList.add("is-gone");
    const text = document.createElement("p");
    text.className = "view-reason";
    text.textContent = this.texts.unplayable;
    view.video.replaceWith(text);
    figure.querySelector("canvas").remove();
    this.say(`${figure.dataset.camera}: ${this.texts.unplayable}`);
    if (this.lead() === null) this.root.classList.add("has-no-clip");
  }

  connect() {
    const actions = {
      play: () => this.toggle(),
      back: () => this.step(-1),
      forward: () => this.step(1),
      moment: () => this.go(this.moment),
    };
    this.root.addEventListener("click", (event) => {
      const button = event.target.closest("button");
      if (button?.dataset.act) return actions[button.dataset.act]();
      const figure = event.target.closest("figure[data-view]");
      if (figure) this.enlarge(this.figures.indexOf(figure));
    });
    this.root.addEventListener("change", ({ target }) => {
      if (target.name?.startsWith("speed")) this.setSpeed(Number(target.value));
      if (target.dataset.show) this.annotations({ [target.dataset.show]: target.checked });
    });
    this.scrub.addEventListener("input", () => {
      if (this.clock.playing) this.clock.pause();
      this.clock.seek(Number(this.scrub.value));
    });
    this.scrub.addEventListener("keydown", (event) => {
      if (event.key.startsWith("Arrow")) event.preventDefault(); // a frame, not a hundredth: `key` does it
    });
  }

  // True when the key was one of the player's.
  key(event) {
    const { key, shiftKey } = event;
    const second = shiftKey ? 1 : 0;
    const actions = {
      " ": () => this.toggle(),
      ArrowLeft: () => (second ? this.go(this.clock.time - 1) : this.step(-1)),
      ArrowRight: () => (second ? this.go(this.clock.time + 1) : this.step(1)),
      Home: () => this.go(0),
      End: () => this.go(this.clock.span),
      g: () => this.go(this.moment),
      v: () => this.setSpeed(SPEEDS[(SPEEDS.indexOf(this.clock.rate) + 1) % SPEEDS.length]),
      o: () => this.annotations(null),
    };
    const action = actions[key.length === 1 ? key.toLowerCase() : key];
    if (action) action();
    else if (/^[0-9]$/.test(key) && Number(key) <= this.figures.length) this.enlarge(Number(key) - 1);
    else return false;
    return true;
  }

  toggle() {
    if (this.lead() === null) return this.say(this.texts.nothing);
    if (this.clock.playing) {
      this.clock.pause();
      this.say(`${this.texts.paused}, ${this.position()}`);
    } else {
      this.open();
      this.clock.play();
      this.say(`${this.texts.playing}, ${this.speed()}`);
    }
  }

  stop() {
    if (this.clock.playing) this.clock.pause();
  }

  step(direction) {
    this.clock.step(direction, this.lead());
    this.say(`${direction > 0 ? this.texts.forward : this.texts.back}, ${this.position()}`);
  }

  go(time) {
    this.clock.seek(time);
    this.say(this.position());
  }

  setSpeed(rate) {
    this.clock.setRate(rate);
    for (const radio of this.root.querySelectorAll("input[name^=speed]")) radio.checked = Number(radio.value) === rate;
    this.say(this.speed());
  }

  // `change`: {boxes: bool} or {hands: bool}; null switches both to the other state.
  annotations(change) {
    const inputs = [...this.root.querySelectorAll("input[data-show]")];
    const all = !inputs.some((input) => input.checked);
    for (const input of inputs) {
      input.checked = change ? (change[input.dataset.show] ?? input.checked) : all;
      for (const view of this.views) view.overlay.shown[input.dataset.show] = input.checked;
    }
    for (const view of this.views) if (!view.gone) view.overlay.draw();
    const state = (input) => `${input.dataset.label} ${input.checked ? this.texts.on : this.texts.off}`;
    this.say(inputs.map(state).join(", "));
  }

  // A camera large and the others small beside it; once more, or -1: all the same size.
  enlarge(index, speak = true) {
    const again = this.figures[index]?.classList.contains("is-large");
    this.figures.forEach((figure, i) => {
      const large = i === index && !again;
      figure.classList.toggle("is-large", large);
      figure.querySelector("[data-enlarge]")?.setAttribute("aria-pressed", String(large));
    });
    const large = this.root.querySelector("figure.is-large");
    this.root.classList.toggle("has-large", large !== null);
    if (speak) this.say(large ? `${large.dataset.camera} ${this.texts.large}` : this.texts.even);
  }

  // The view whose frames are stepped: the large one, or the first that can be played.
  lead() {
    const playable = this.views.filter((view) => !view.gone);
    return playable.find((view) => view.figure.classList.contains("is-large")) ?? playable[0] ?? null;
  }

  show() {
    const { time, playing } = this.clock;
    this.scrub.value = time;
    this.scrub.setAttribute("aria-valuetext", this.position());
    this.time.textContent = signed(time - this.moment);
    const button = this.root.querySelector("[data-act=play]");
    button.classList.toggle("is-playing", playing);
    const label = playing ? this.texts.pause : this.texts.play;
    if (button.getAttribute("aria-label") !== label) button.setAttribute("aria-label", label);
    for (const view of this.views) view.figure.classList.toggle("is-outside", !this.clock.covers(view));
    this.root.dispatchEvent(new CustomEvent("player-time", { bubbles: true, detail: { time } }));
  }

  speed() {
    return this.texts.speeds[this.clock.rate];
  }

  position() {
    const seconds = this.clock.time - this.moment;
    const text = seconds < -0.005 ? this.texts.before : this.texts.after;
    return text.replace("{s}", Math.abs(seconds).toFixed(2));
  }

  say(text) {
    this.said.textContent = text;
  }
}

function signed(seconds) {
  const rounded = seconds.toFixed(2);
  return `${seconds >= 0 ? "+" : "−"}${rounded.replace("-", "")} s`;
}
