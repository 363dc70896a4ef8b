// SPDX-License-Identifier: AGPL-3.0-or-later
// The stream of a floor, live or recorded: play, pause, seek, speed; reconnects by itself.

export class Player {
  // told: { trail, frame, state, end, link } are called with what the server says; link with "connected", "lost" ...
  constructor(live, told) {
    this.live = live;
    this.told = told;
    this.at = 0;
    this.speed = 1;
    this.playing = false;
    this.asked = 0;
  }

  play(from = this.at) {
    this.stop();
    this.playing = true;
    const query = this.live ? "" : `?from_ms=${Math.round(from)}&speed=${this.speed}`;
    const source = new EventSource(`/api/v1/floor/stream${query}`);
    this.source = source;
    const hear = (name, then) => source.addEventListener(name, (event) => {
      if (this.source === source) then(JSON.parse(event.data));
    });
    source.onopen = () => this.told.link("connected");
    hear("trail", (frames) => this.told.trail(frames));
    hear("state", (state) => this.told.state(state));
    hear("frame", (frame) => {
      this.at = frame.t;
      this.told.frame(frame);
    });
    hear("end", ({ at_ms: at }) => {
      this.at = at;
      this.stop();
      this.told.end(at);
    });
    source.onerror = () => {
      if (this.source !== source) return;
      this.told.link("lost");
      if (source.readyState === EventSource.CLOSED) this.retry = setTimeout(() => this.play(this.at), 4000);
    };
  }

  stop() {
    clearTimeout(this.retry);
    this.source?.close();
    this.source = null;
    this.playing = false;
  }

  // One moment, without playing on from it.
  async look(at) {
    const number = ++this.asked;
    this.at = at;
    const answer = await fetch(`/api/v1/floor/state?at_ms=${Math.round(at)}`);
    if (!answer.ok || number !== this.asked || this.playing) return;
    const state = await answer.json();
    this.told.trail([state.frame]);
    this.told.frame(state.frame);
    this.told.state(state);
  }
}
