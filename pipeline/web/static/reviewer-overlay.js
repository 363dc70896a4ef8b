// SPDX-License-Identifier: AGPL-3.0-or-later
// People, hands and the place of the reach, drawn over a video. Told apart by shape as well as by colour: the shopper
// concerned has a whole line and filled hands, others a broken line and open ones.

const MINE = "#ffd24a";
const OTHER = "#f4f4f4";
const PLACE = "#5fe0d0";
const EDGE = "rgba(0, 0, 0, 0.65)";

export class Overlay {
  // `frames`: [{t_s, people: [{xyxy_px, mine}], hands: [{xy_px, mine}]}], t_s in seconds of the clip, ascending.
  constructor(canvas, video, place) {
    Object.assign(this, { canvas, video, place });
    this.frames = [];
    this.mediaTime = 0;
    this.shown = { boxes: true, hands: true };
    if ("requestVideoFrameCallback" in HTMLVideoElement.prototype) this.watch();
    else video.addEventListener("timeupdate", () => this.draw(video.currentTime));
    // Not every frame that a seek shows is told of above.
    video.addEventListener("seeked", () => this.draw(video.currentTime));
    new ResizeObserver(() => this.draw()).observe(canvas);
  }

  watch() {
    this.video.requestVideoFrameCallback((_, frame) => {
      this.draw(frame.mediaTime);
      this.watch();
    });
  }

  // The overlay of the frame that the video shows: the newest that is not later.
  at(mediaTime) {
    let found = null;
    for (const frame of this.frames) {
      if (frame.t_s > mediaTime + 0.005) break;
      found = frame;
    }
    return found;
  }

  draw(mediaTime = this.mediaTime) {
    this.mediaTime = mediaTime;
    const { canvas, video } = this;
    const ratio = window.devicePixelRatio || 1;
    const [width, height] = [canvas.clientWidth, canvas.clientHeight];
    if (!width || !video.videoWidth) return;
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
    const scale = Math.min(width / video.videoWidth, height / video.videoHeight);
    const pen = canvas.getContext("2d");
    const left = (width - video.videoWidth * scale) / 2;
    const top = (height - video.videoHeight * scale) / 2;
    pen.setTransform(ratio * scale, 0, 0, ratio * scale, ratio * left, ratio * top);
    const px = 1 / scale; // one CSS pixel in the video's pixels
    const frame = this.at(mediaTime);
    if (this.shown.boxes) {
      if (this.place) box(pen, this.place, PLACE, 1.5 * px, [3 * px, 3 * px]);
      for (const { xyxy_px, mine } of frame?.people ?? []) {
        box(pen, xyxy_px, mine ? MINE : OTHER, (mine ? 2.5 : 1.5) * px, mine ? [] : [7 * px, 5 * px]);
      }
    }
    if (this.shown.hands) for (const { xy_px, mine } of frame?.hands ?? []) hand(pen, xy_px, mine, px);
  }
}

function box(pen, [x1, y1, x2, y2], colour, width, dash) {
  pen.setLineDash([]);
  pen.strokeStyle = EDGE;
  pen.lineWidth = width * 2;
  pen.strokeRect(x1, y1, x2 - x1, y2 - y1);
  pen.setLineDash(dash);
  pen.strokeStyle = colour;
  pen.lineWidth = width;
  pen.strokeRect(x1, y1, x2 - x1, y2 - y1);
}

function hand(pen, [x, y], mine, px) {
  pen.setLineDash([]);
  pen.beginPath();
  pen.arc(x, y, (mine ? 5 : 4) * px, 0, 2 * Math.PI);
  pen.lineWidth = 3.5 * px;
  pen.strokeStyle = EDGE;
  pen.stroke();
  pen.lineWidth = 1.5 * px;
  pen.strokeStyle = mine ? MINE : OTHER;
  pen.stroke();
  if (!mine) return;
  pen.fillStyle = MINE;
  pen.fill();
}
