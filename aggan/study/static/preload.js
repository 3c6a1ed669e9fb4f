// Loads and decodes the images of a pair before it is shown, and those of the next pairs in advance.

const PAIRS_AHEAD = 3;
const RETRY_DELAY = 2000; // milliseconds

/** Returns a function that gives the two images of a trial and starts to load those of the next trials. */
export function preloader(trials) {
  const cache = new Map();
  const load = (index) => {
    const { left, right } = trials[index];
    if (!cache.has(index)) cache.set(index, Promise.all([loadImage(left), loadImage(right)]));
    return cache.get(index);
  };
  return (index) => {
    const pair = load(index);
    for (let next = index + 1; next <= index + PAIRS_AHEAD && next < trials.length; next++) load(next);
    cache.delete(index - 1);
    return pair;
  };
}

async function loadImage(url) {
  for (;;) {
    const image = new Image();
    image.alt = "";
    image.draggable = false;
    image.src = url;
    try {
      await image.decode();
      return image;
    } catch {
      await new Promise((resolve) => setTimeout(resolve, RETRY_DELAY));
    }
  }
}
