// What jsPsych shows: screens with a button, and pairs.

const FIXATION = 500; // milliseconds between the empty frames and the pictures
const FEEDBACK = 1500;
const PAUSE = 150; // so that one sees that the answer was taken
const KEYS = { arrowleft: "left", f: "left", arrowright: "right", j: "right" };

/** A copy of one of the page's templates, shown. */
export function show(element, id) {
  element.replaceChildren(document.getElementById(id).content.cloneNode(true));
  const heading = element.querySelector("h1");
  heading.tabIndex = -1;
  return heading;
}

/** A template with a button `.go`. `prepare` may fill it in. */
export class Screen {
  static info = {
    name: "screen",
    version: "1.0.0",
    parameters: {
      template: { type: jsPsychModule.ParameterType.STRING },
      prepare: { type: jsPsychModule.ParameterType.FUNCTION, default: () => {} },
    },
    data: {},
  };

  constructor(jsPsych) {
    this.jsPsych = jsPsych;
  }

  trial(element, trial) {
    show(element, trial.template).focus(); // a screen reader reads on from there
    trial.prepare(element);
    element.querySelector("button.go").addEventListener("click", () => this.jsPsych.finishTrial({}), { once: true });
  }
}

/** A pair: pictures for a while, then an answer by key, mouse or touch, which is stored before it goes on. */
export class Pair {
  static info = {
    name: "pair",
    version: "1.0.0",
    parameters: {
      index: { type: jsPsychModule.ParameterType.INT },
      count: { type: jsPsychModule.ParameterType.INT },
      exposure: { type: jsPsychModule.ParameterType.FLOAT },
      pictures: { type: jsPsychModule.ParameterType.FUNCTION },
      answer: { type: jsPsychModule.ParameterType.FUNCTION },
    },
    data: {},
  };

  constructor(jsPsych) {
    this.jsPsych = jsPsych;
  }

  async trial(element, trial) {
    const frames = this.lay(element, trial);
    const pictures = await trial.pictures(trial.index);
    await this.wait(FIXATION);
    const { side, milliseconds } = await this.ask(element, frames, pictures, trial.exposure);
    const told = await trial.answer(trial.index, side, milliseconds);
    if (told.real) this.feedback(element, frames, pictures, side, told.real);
    await this.wait(told.real ? FEEDBACK : PAUSE);
    this.jsPsych.finishTrial({});
  }

  lay(element, { index, count }) {
    show(element, "pair");
    const progress = element.querySelector("progress");
    [progress.max, progress.value] = [count, index];
    progress.setAttribute("aria-label", "Progress");
    element.querySelector(".count").textContent = `Pair ${index + 1} of ${count}`;
    return [...element.querySelectorAll(".frame")];
  }

  ask(element, frames, pictures, exposure) {
    const buttons = [...element.querySelectorAll(".side")];
    frames.forEach((frame, k) => frame.replaceChildren(pictures[k]));
    const shown = performance.now();
    if (exposure) this.wait(1000 * exposure).then(() => element.classList.add("over"));
    return new Promise((resolve) => {
      const chosen = (side) => {
        this.jsPsych.pluginAPI.cancelAllKeyboardResponses();
        buttons.forEach((button) => (button.disabled = true));
        element.querySelector(`[data-side=${side}]`).classList.add("chosen");
        resolve({ side, milliseconds: Math.round(performance.now() - shown) });
      };
      element.classList.remove("over");
      buttons.forEach((button) => {
        button.disabled = false;
        button.addEventListener("click", () => chosen(button.dataset.side), { once: true });
      });
      this.jsPsych.pluginAPI.getKeyboardResponse({
        callback_function: ({ key }) => chosen(KEYS[key.toLowerCase()]),
        valid_responses: Object.keys(KEYS),
        persist: false,
      });
    });
  }

  feedback(element, frames, pictures, side, real) {
    element.classList.remove("over");
    element.querySelector(`[data-side=${real}]`).classList.add("real");
    const said = side === real ? "Correct:" : "Wrong:";
    element.querySelector(".feedback").textContent = `${said} the ${real} one is real.`;
  }

  wait(milliseconds) {
    return new Promise((done) => this.jsPsych.pluginAPI.setTimeout(done, milliseconds));
  }
}
