// Pictures are there, decoded, before their pair is shown, and a few ahead.

const AHEAD = 3;
const AGAIN = 2000; // milliseconds

/** Gives the two pictures of a trial, and begins to fetch those that follow. */
export function loader(trials) {
  const asked = new Map();
  const fetched = (index) => {
    const { left, right } = trials[index];
    if (!asked.has(index)) asked.set(index, Promise.all([decoded(left), decoded(right)]));
    return asked.get(index);
  };
  return (index) => {
    const pair = fetched(index);
    for (let next = index + 1; next <= index + AHEAD && next < trials.length; next++) fetched(next);
    asked.delete(index - 1);
    return pair;
  };
}

async function decoded(url) {
  for (;;) {
    const picture = new Image();
    picture.alt = "";
    picture.draggable = false;
    picture.src = url;
    try {
      await picture.decode();
      return picture;
    } catch {
      await new Promise((done) => setTimeout(done, AGAIN));
    }
  }
}
