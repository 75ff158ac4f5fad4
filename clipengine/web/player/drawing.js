// Drawing of a filmstrip and of a waveform on a canvas.

const BAR_PIXELS = 2; // from one bar of the waveform to the next

// Each strip is an image of `count` tiles for the range from `from` to `to`. Later strips are drawn over earlier ones.
export function drawFilm(canvas, strips, view) {
  const context = prepare(canvas);
  const {width, height} = canvas.getBoundingClientRect();
  const scale = width / (view.end - view.start);
  for (const {from, to, count, image} of strips) {
    const part = (to - from) / count;
    const tile = image.width / count;
    for (let number = 0; number < count; number += 1) {
      const left = (from + number * part - view.start) * scale;
      const wide = part * scale;
      if (left > width || left + wide < 0) continue;
      drawTile(context, image, number * tile, tile, left, wide, height);
    }
  }
}

// Fill the width with a tile, cropped on both sides. A wide place repeats it.
function drawTile(context, image, x, tile, left, wide, height) {
  const natural = (tile / image.height) * height;
  const copies = Math.max(1, Math.round(wide / natural));
  const each = wide / copies;
  for (let copy = 0; copy < copies; copy += 1) {
    const scale = Math.max(each / tile, height / image.height);
    const cropWidth = each / scale;
    const cropHeight = height / scale;
    context.drawImage(image, x + (tile - cropWidth) / 2, (image.height - cropHeight) / 2, cropWidth, cropHeight, left + copy * each, 0, each + 0.5, height);
  }
}

// Each wave has the peaks of equal parts of the range from `from` to `to`. The last one that covers a bar is used for it.
export function drawWave(canvas, waves, view) {
  const context = prepare(canvas);
  const {width, height} = canvas.getBoundingClientRect();
  context.fillStyle = getComputedStyle(canvas).color;
  const seconds = (view.end - view.start) / width; // per pixel
  for (let x = 0; x < width; x += BAR_PIXELS) {
    const time = view.start + x * seconds;
    const wave = waves.findLast(({from, to}) => from <= time && time < to);
    if (!wave) continue;
    const per = (wave.to - wave.from) / wave.peaks.length;
    const first = Math.floor((time - wave.from) / per);
    const after = Math.max(first + 1, Math.ceil((time + BAR_PIXELS * seconds - wave.from) / per));
    const peak = Math.max(...wave.peaks.slice(first, after));
    const high = Math.max(1, Math.sqrt(peak) * (height - 4));
    context.fillRect(x, (height - high) / 2, 1.3, high);
  }
}

// Return the cleared context of a canvas, with as many pixels as the screen has there.
export function prepare(canvas) {
  const {width, height} = canvas.getBoundingClientRect();
  const ratio = devicePixelRatio || 1;
  if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
  }
  const context = canvas.getContext("2d");
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, width, height);
  return context;
}
