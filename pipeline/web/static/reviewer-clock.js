// SPDX-License-Identifier: AGPL-3.0-or-later
// One clock over several videos. A view is {video, start, end, times}: the clip's place on the clock in seconds, and
// the capture times of its frames on that clock (ascending; empty when they are not known).

const AHEAD = 0.001; // seconds into a frame: a seek to exactly its first instant may show the frame before
const BEND = 0.02; // drift from which a video's speed is bent
const JUMP = 0.2; // drift from which it is put where it should be
const PATIENCE_MS = 2500; // how long the clock waits for a video that has nothing to show yet

export class SharedClock {
  constructor(views, span, { fps = 10, onChange = () => {} } = {}) {
    Object.assign(this, { views, span, fps, onChange });
    this.time = 0;
    this.rate = 1;
    this.playing = false;
    this.waiting = 0;
    this.last = 0;
    this.tick = this.tick.bind(this);
  }

  seek(time) {
    this.time = Math.min(Math.max(time, 0), this.span);
    for (const view of this.alive()) {
      const { video } = view;
      const at = this.inClip(view);
      if (Math.abs(video.currentTime - at) > AHEAD / 2) video.currentTime = at;
    }
    this.onChange();
  }

  play() {
    if (this.playing) return;
    if (this.time >= this.span - 0.01) this.seek(0);
    this.playing = true;
    this.last = performance.now();
    this.waiting = 0;
    requestAnimationFrame(this.tick);
    this.onChange();
  }

  pause() {
    this.playing = false;
    for (const { video } of this.views) video.pause();
    this.seek(this.time);
  }

  setRate(rate) {
    this.rate = rate;
    this.onChange();
  }

  // One frame of `lead` on or back; of the nominal frame rate where its frames are not known.
  step(direction, lead) {
    if (this.playing) this.pause();
    const times = lead?.times ?? [];
    const slack = AHEAD * 2;
    const next = direction > 0 ? times.find((t) => t > this.time + slack) : times.findLast((t) => t < this.time - slack);
    this.seek(next ?? this.time + direction / this.fps);
  }

  alive() {
    return this.views.filter((view) => !view.gone && view.video.readyState > 0);
  }

  inClip(view) {
    const length = view.video.duration || view.end - view.start;
    return Math.min(Math.max(this.time - view.start, 0) + AHEAD, Math.max(length - AHEAD, 0));
  }

  covers(view) {
    return this.time >= view.start - 0.05 && this.time < view.end;
  }

  tick(now) {
    if (!this.playing) return;
    const elapsed = (now - this.last) / 1000;
    this.last = now;
    const running = this.views.filter((view) => !view.gone && this.covers(view));
    const late = running.some(({ video }) => video.seeking || (video.readyState < 3 && !video.ended));
    this.waiting = late ? this.waiting + elapsed * 1000 : 0;
    if (late && this.waiting < PATIENCE_MS) {
      for (const { video } of running) video.pause(); // nobody runs ahead of the one that loads
    } else {
      this.time = Math.min(this.time + Math.min(elapsed, 0.25) * this.rate, this.span);
      for (const view of this.views) if (!view.gone) this.follow(view, running.includes(view));
    }
    if (this.time >= this.span) return this.pause();
    this.onChange();
    requestAnimationFrame(this.tick);
  }

  // Keep one video with the clock: by its speed while it is close, by a jump when it is not.
  follow(view, running) {
    const { video } = view;
    if (!running) return video.pause();
    if (video.paused && !video.ended) video.play().catch(() => {});
    const drift = video.currentTime - this.inClip(view);
    if (Math.abs(drift) > JUMP) video.currentTime = this.inClip(view);
    const bend = Math.abs(drift) > BEND ? Math.min(Math.max(-2 * drift, -0.25), 0.25) : 0;
    const rate = this.rate * (1 + bend);
    if (Math.abs(video.playbackRate - rate) > 0.001) video.playbackRate = rate;
  }
}
