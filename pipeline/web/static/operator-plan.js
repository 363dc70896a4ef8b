// SPDX-License-Identifier: AGPL-3.0-or-later
// The plan of the shop on a canvas: what stands still, and people who move. Metres in, pixels out.

const MARGIN_M = 0.45;
const TRAIL_MS = 6000;
const HIT_PX = 22;
const HUES = 6;

const given = new Map();

// Colours in the order in which visits are met: of those who are inside together, six have different ones.
export const hueOf = (label) => {
  if (!given.has(label)) given.set(label, given.size % HUES);
  return given.get(label);
};

export class Plan {
  // plan: what /api/v1/floor/plan says. texts: no_pass.
  constructor(canvas, plan, texts) {
    this.canvas = canvas;
    this.context = canvas.getContext("2d");
    this.plan = plan;
    this.texts = texts;
    this.people = new Map();
    this.visits = new Map();
    this.items = [];
    this.levels = {};
    this.lowSlots = new Set();
    this.cameras = {};
    this.chosen = null;
    this.still = matchMedia("(prefers-reduced-motion: reduce)").matches;
    this.frameAt = 0;
    const points = [...plan.floor, ...plan.cameras.map((c) => c.xy), ...plan.gondolas.flatMap((g) => g.corners)];
    const xs = points.map((p) => p[0]), ys = points.map((p) => p[1]);
    this.box = [Math.min(...xs) - MARGIN_M, Math.min(...ys) - MARGIN_M, Math.max(...xs) + MARGIN_M, Math.max(...ys) + MARGIN_M];
    new ResizeObserver(() => this.resize()).observe(canvas.parentElement);
    const restyle = () => { this.readColours(); this.draw(); };
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", restyle);
    new MutationObserver(restyle).observe(document.documentElement, { attributes: true, attributeFilter: ["data-theme"] });
    this.readColours();
    this.resize();
  }

  readColours() {
    const style = getComputedStyle(document.documentElement);
    const get = (name) => style.getPropertyValue(name).trim();
    this.colour = Object.fromEntries(
      ["bg", "surface", "raised", "sunken", "text", "muted", "line", "line-strong", "accent", "good", "warn", "bad"]
        .map((name) => [name, get(`--${name}`)]),
    );
    this.hues = Array.from({ length: HUES }, (_, i) => get(`--hue-${i}`));
  }

  resize() {
    const width = Math.max(this.canvas.parentElement.clientWidth, 200);
    const [x0, y0, x1, y1] = this.box;
    const high = width * (y1 - y0) / (x1 - x0);
    const height = Math.min(Math.max(high, 180), Math.max(window.innerHeight * 0.7, 320));
    const ratio = window.devicePixelRatio || 1;
    this.canvas.width = Math.round(width * ratio);
    this.canvas.height = Math.round(height * ratio);
    this.canvas.style.height = `${height}px`;
    this.scale = Math.min(width / (x1 - x0), height / (y1 - y0));
    this.offset = [(width - this.scale * (x1 - x0)) / 2, (height - this.scale * (y1 - y0)) / 2];
    this.height = height;
    this.ratio = ratio;
    this.draw();
  }

  // A floor point in CSS pixels; y goes up in the shop and down on the screen.
  at([x, y]) {
    return [this.offset[0] + (x - this.box[0]) * this.scale, this.height - this.offset[1] - (y - this.box[1]) * this.scale];
  }

  forget() {
    this.people.clear();
    this.frameAt = 0;
    this.draw();
  }

  trail(frames) {
    this.people.clear();
    for (const frame of frames) this.note(frame, true);
    this.draw();
  }

  frame(frame) {
    this.note(frame, this.still);
    this.animate();
  }

  note(frame, atOnce) {
    const now = performance.now();
    const gap = Math.min(Math.max(now - (this.cameAt || now), 40), 250);
    this.cameAt = now;
    this.frameAt = frame.t;
    const seen = new Set();
    for (const [track, x, y, visit] of frame.p) {
      seen.add(track);
      const person = this.people.get(track) || { trail: [], from: [x, y], track };
      person.from = atOnce ? [x, y] : this.where(person, now) || [x, y];
      Object.assign(person, { to: [x, y], since: now, takes: atOnce ? 1 : gap, visit });
      person.trail.push([x, y, frame.t]);
      while (person.trail.length && person.trail[0][2] < frame.t - TRAIL_MS) person.trail.shift();
      this.people.set(track, person);
    }
    for (const track of this.people.keys()) if (!seen.has(track)) this.people.delete(track);
  }

  where(person, now) {
    if (!person.to) return null;
    const share = Math.min((now - person.since) / person.takes, 1);
    return [0, 1].map((i) => person.from[i] + (person.to[i] - person.from[i]) * share);
  }

  animate() {
    if (this.running) return;
    this.running = true;
    const step = () => {
      const now = performance.now();
      this.draw(now);
      if ([...this.people.values()].some((p) => now - p.since < p.takes)) requestAnimationFrame(step);
      else this.running = false;
    };
    requestAnimationFrame(step);
  }

  // Whoever is near these CSS pixels.
  hit(x, y) {
    let best = null, near = HIT_PX;
    const now = performance.now();
    for (const person of this.people.values()) {
      const [px, py] = this.at(this.where(person, now));
      const distance = Math.hypot(px - x, py - y);
      if (distance < near) [best, near] = [person, distance];
    }
    return best;
  }

  // The gondola whose front is nearest to a floor point, when it is within reach.
  nearest([x, y]) {
    let best = null, near = 1.1;
    for (const gondola of this.plan.gondolas) {
      const [[ax, ay], [bx, by]] = gondola.front;
      const length = (bx - ax) ** 2 + (by - ay) ** 2;
      const share = Math.min(Math.max(((x - ax) * (bx - ax) + (y - ay) * (by - ay)) / length, 0), 1);
      const distance = Math.hypot(x - ax - share * (bx - ax), y - ay - share * (by - ay));
      if (distance < near) [best, near] = [gondola.id, distance];
    }
    return best;
  }

  colourOf(person) {
    const visit = this.visits.get(person.visit);
    if (!visit) return null;
    return visit.without_pass ? this.colour.bad : this.hues[hueOf(visit.label)];
  }

  draw(now = performance.now()) {
    const c = this.context;
    c.setTransform(this.ratio, 0, 0, this.ratio, 0, 0);
    c.clearRect(0, 0, this.canvas.width, this.canvas.height);
    c.lineJoin = c.lineCap = "round";
    c.textBaseline = "middle";
    this.drawShop(c);
    for (const item of this.items) if (item.xy_m) this.diamond(c, this.at(item.xy_m));
    for (const person of this.people.values()) this.drawTrail(c, person);
    for (const person of this.people.values()) this.drawPerson(c, person, now);
  }

  drawShop(c) {
    const { plan, colour } = this;
    this.polygon(c, plan.floor);
    c.fillStyle = colour.surface;
    c.fill();
    c.lineWidth = 1.5;
    c.strokeStyle = colour["line-strong"];
    c.stroke();
    for (const corners of plan.obstacles) {
      this.polygon(c, corners);
      c.fillStyle = colour.line;
      c.fill();
    }
    for (const gondola of plan.gondolas) this.drawGondola(c, gondola);
    for (const gate of plan.gates) this.drawGate(c, gate);
    for (const camera of plan.cameras) this.drawCamera(c, camera);
  }

  drawGondola(c, gondola) {
    const { colour } = this;
    this.polygon(c, gondola.corners);
    c.fillStyle = colour.sunken;
    c.fill();
    c.lineWidth = 1;
    c.strokeStyle = colour["line-strong"];
    c.stroke();
    const [a, b] = gondola.front.map((p) => this.at(p));
    c.lineWidth = 4;
    c.strokeStyle = colour.line;
    this.stroke(c, [a, b]);
    const level = this.levels[gondola.id] ?? 1;  // the front is as long as the shelves are full
    c.strokeStyle = this.lowSlots.has(gondola.id) ? colour.warn : colour.accent;
    this.stroke(c, [a, [a[0] + (b[0] - a[0]) * level, a[1] + (b[1] - a[1]) * level]]);
    const middle = [0, 1].map((i) => gondola.corners.reduce((sum, p) => sum + p[i], 0) / 4);
    this.label(c, gondola.id, this.at(middle), colour.muted, "center", 12);
  }

  drawGate(c, gate) {
    const { colour } = this;
    c.setLineDash([6, 5]);
    c.lineWidth = 2.5;
    c.strokeStyle = colour.accent;
    this.stroke(c, gate.line.map((p) => this.at(p)));
    c.setLineDash([]);
    const [x, y] = this.at(gate.tap);
    c.lineWidth = 1.5;
    c.beginPath();
    c.arc(x, y, 6, 0, 7);
    c.stroke();
    const end = gate.line[0][1] < gate.line[1][1] ? gate.line[0] : gate.line[1];
    const [lx, ly] = this.at(end);
    this.label(c, gate.id, [lx, Math.min(ly + 14, this.height - 8)], colour.accent, "center", 12);
  }

  drawCamera(c, camera) {
    const { colour } = this;
    const [x, y] = this.at(camera.xy);
    const angle = Math.atan2(-camera.towards[1], camera.towards[0]);
    const state = this.cameras[camera.id];
    c.fillStyle = { broken: colour.bad, stalled: colour.warn, live: colour.good }[state] || colour.muted;
    c.save();
    c.translate(x, y);
    c.rotate(angle);
    c.beginPath();
    c.moveTo(-4, 0);
    c.lineTo(8, -6);
    c.lineTo(8, 6);
    c.closePath();
    c.fill();
    c.restore();
    const [dx, dy] = [-Math.cos(angle) * 13, -Math.sin(angle) * 11];
    this.label(c, camera.id.replace(/^cam/, ""), [x + dx, y + dy], colour.muted, "center", 10.5);
  }

  drawTrail(c, person) {
    const colour = this.colourOf(person) || this.colour.muted;
    const points = person.trail.map((p) => [...this.at(p), p[2]]);
    c.strokeStyle = colour;
    for (let i = 1; i < points.length; i++) {
      const age = (this.frameAt - points[i][2]) / TRAIL_MS;
      c.globalAlpha = Math.max(0.75 * (1 - age), 0.05) * (person.visit === this.chosen || !this.chosen ? 1 : 0.4);
      c.lineWidth = person.visit && person.visit === this.chosen ? 4 : 2.5;
      this.stroke(c, [points[i - 1], points[i]]);
    }
    c.globalAlpha = 1;
  }

  drawPerson(c, person, now) {
    const [x, y] = this.at(this.where(person, now));
    const visit = this.visits.get(person.visit);
    const colour = this.colourOf(person);
    const alarm = visit?.without_pass;
    c.lineWidth = 3;
    c.strokeStyle = colour || this.colour.muted;
    c.fillStyle = colour || this.colour.surface;
    if (alarm || (visit && person.visit === this.chosen)) {
      c.globalAlpha = 0.35;
      c.beginPath();
      c.arc(x, y, 16, 0, 7);
      c.fill();
      c.globalAlpha = 1;
    }
    c.beginPath();
    c.arc(x, y, 9, 0, 7);
    c.fill();
    c.stroke();
    if (alarm) this.label(c, "!", [x, y + 0.5], this.colour.surface, "center", 13);
    if (!visit) return;
    c.font = "650 12.5px ui-monospace, monospace";
    const room = this.canvas.width / this.ratio;
    const text = alarm && room > 560 ? `${visit.label} · ${this.texts.no_pass}` : visit.label;
    const wide = c.measureText(text).width + 10;
    const left = x + 16 + wide > room ? x - 16 - wide : x + 16;
    c.globalAlpha = 0.9;
    c.fillStyle = this.colour.surface;
    c.beginPath();
    c.roundRect(left, y - 10, wide, 20, 6);
    c.fill();
    c.globalAlpha = 1;
    this.label(c, text, [left + 5, y + 0.5], colour || this.colour.text, "left", 12.5);
  }

  diamond(c, [x, y]) {
    c.fillStyle = this.colour.warn;
    c.strokeStyle = this.colour.surface;
    c.lineWidth = 1.5;
    c.beginPath();
    for (const [dx, dy] of [[0, -7], [7, 0], [0, 7], [-7, 0]]) c.lineTo(x + dx, y + dy);
    c.closePath();
    c.fill();
    c.stroke();
  }

  polygon(c, points) {
    c.beginPath();
    for (const point of points) c.lineTo(...this.at(point));
    c.closePath();
  }

  stroke(c, points) {
    c.beginPath();
    for (const point of points) c.lineTo(point[0], point[1]);
    c.stroke();
  }

  label(c, text, [x, y], colour, align, size) {
    c.font = `650 ${size}px ui-monospace, monospace`;
    c.textAlign = align;
    c.fillStyle = colour;
    c.fillText(text, x, y);
  }
}
