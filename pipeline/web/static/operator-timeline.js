// SPDX-License-Identifier: AGPL-3.0-or-later
// The time line under the plan of a recording: play, pause, speed, seek, and marks of what happened.

const KINDS = { pick: "accent", put_back: "warn", "person-without-pass": "bad", "visit-opened": "good", "visit-closed": "muted" };
const LOOK_MS = 150;

export class TimeLine {
  // moved(at): the moment was chosen by hand.
  constructor(player, lists, texts, link, moved) {
    Object.assign(this, { player, lists, texts, link, moved, looked: 0 });
    this.button = document.getElementById("play");
    this.range = document.getElementById("seek");
    this.canvas = document.getElementById("marks");
    this.button.addEventListener("click", () => this.toggle());
    this.range.addEventListener("input", () => this.seek());
    this.range.addEventListener("change", () => this.sought());
    for (const radio of document.querySelectorAll('[name="speed"]')) {
      radio.addEventListener("change", () => {
        player.speed = Number(radio.value);
        if (player.playing) player.play();
      });
    }
    document.addEventListener("keydown", (event) => {
      const elsewhere = event.target.closest("input, button, textarea, select, a, summary, dialog, [tabindex]:not(main)");
      if (event.key === " " && !elsewhere && !event.ctrlKey && !event.metaKey) {
        event.preventDefault();
        this.toggle();
      }
    });
    new ResizeObserver(() => this.drawMarks()).observe(this.canvas);
    new MutationObserver(() => this.drawMarks()).observe(document.documentElement, { attributes: true, attributeFilter: ["data-theme"] });
  }

  async begin() {
    const answer = await fetch("/api/v1/floor/timeline");
    Object.assign(this, await answer.json());
    this.range.min = this.begin_ms;
    this.range.max = this.end_ms;
    this.drawMarks();
    this.show(this.begin_ms);
    this.start(this.begin_ms);
  }

  start(from) {
    this.player.play(from);
    this.pressed(true);
  }

  toggle() {
    if (this.player.playing) {
      this.player.stop();
      this.pressed(false);
      this.link("paused");
      this.moved(this.player.at);
    } else this.start(this.player.at >= this.end_ms ? this.begin_ms : this.player.at);
  }

  show(at) {
    if (!this.held) this.range.value = at;
    this.range.setAttribute("aria-valuetext", this.lists.time(at));
  }

  ended(at) {
    this.pressed(false, this.texts.again);
    this.show(at);
  }

  seek() {
    this.held = true;
    this.resume ||= this.player.playing;
    this.player.stop();
    const at = Number(this.range.value);
    this.player.at = at;
    this.range.setAttribute("aria-valuetext", this.lists.time(at));
    clearTimeout(this.later);
    this.later = setTimeout(() => this.player.look(at), Math.max(this.looked + LOOK_MS - performance.now(), 0));
    this.looked = performance.now();
  }

  sought() {
    this.held = false;
    clearTimeout(this.later);
    const at = Number(this.range.value);
    this.pressed(Boolean(this.resume));
    if (this.resume) this.player.play(at);
    else {
      this.link("paused");
      this.player.look(at);
      this.moved(at);
    }
    this.resume = false;
  }

  pressed(on, text = on ? this.texts.pause : this.texts.play) {
    this.button.setAttribute("aria-pressed", String(on));
    this.button.querySelector("span").textContent = text;
  }

  drawMarks() {
    if (!this.marks) return;
    const ratio = window.devicePixelRatio || 1, wide = this.canvas.clientWidth, high = this.canvas.clientHeight;
    this.canvas.width = wide * ratio;
    this.canvas.height = high * ratio;
    const context = this.canvas.getContext("2d"), style = getComputedStyle(document.documentElement);
    context.scale(ratio, ratio);
    for (const mark of this.marks) {
      context.fillStyle = style.getPropertyValue(`--${KINDS[mark.kind] || "muted"}`);
      const share = (mark.at_ms - this.begin_ms) / (this.end_ms - this.begin_ms);
      const tall = mark.kind === "person-without-pass" ? high : high * 0.65;
      context.fillRect(8 + share * (wide - 16) - 1.25, high - tall, 2.5, tall);
    }
  }
}
