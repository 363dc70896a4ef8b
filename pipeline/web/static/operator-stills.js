// SPDX-License-Identifier: AGPL-3.0-or-later
// The cameras' pictures: one request after the other, only of those that can be seen, every few seconds.

const EVERY_MS = 3000;

export class Stills {
  constructor(box, live) {
    this.live = live;
    this.figures = [...box.querySelectorAll("[data-camera]")];
    this.seen = new Set();
    this.asked = -Infinity;
    const watch = new IntersectionObserver((entries) => {
      for (const { target, isIntersecting } of entries) {
        if (isIntersecting) this.seen.add(target);
        else this.seen.delete(target);
      }
      if (this.at && entries.some((e) => e.isIntersecting)) this.show(this.at, false, true);
    }, { rootMargin: "300px" });
    for (const figure of this.figures) watch.observe(figure);
  }

  // moving: the floor plays at a pace at which pictures make sense. now: do not wait for their turn.
  show(at, moving, now = false) {
    this.at = at;
    const due = performance.now() - this.asked >= EVERY_MS;
    if (this.busy || !(now || (due && moving) || this.asked === -Infinity)) { this.again = now ? true : this.again; return; }
    this.asked = performance.now();
    this.busy = true;
    this.load().finally(() => {
      this.busy = false;
      if (this.again) { this.again = false; this.show(this.at, false, true); }
    });
  }

  async load() {
    for (const figure of this.figures) {
      if (!this.seen.has(figure)) continue;
      const picture = figure.querySelector("img");
      const address = `/api/v1/floor/cameras/${encodeURIComponent(figure.dataset.camera)}/still?at_ms=${Math.round(this.at)}`;
      try {
        const answer = await fetch(address);
        if (!answer.ok) { picture.hidden = true; continue; }
        const url = URL.createObjectURL(await answer.blob());
        const old = picture.src;
        picture.src = url;
        picture.hidden = false;
        if (old.startsWith("blob:")) URL.revokeObjectURL(old);
      } catch {
        return;  // no connection: the badge at the top says so
      }
    }
  }
}
