// The jsPsych plugins of the study: screens with a button, and pairs of images.

const FIXATION = 500; // milliseconds with empty frames before the images appear
const FEEDBACK = 1500;
const PAUSE = 150; // long enough to see that the choice was registered
const KEYS = { arrowleft: "left", f: "left", arrowright: "right", j: "right" };

/** Show a copy of one of the page's templates. Returns its heading. */
export function show(element, id) {
  element.replaceChildren(document.getElementById(id).content.cloneNode(true));
  const heading = element.querySelector("h1");
  heading.tabIndex = -1;
  return heading;
}

/** A template with a button `.go`. The callback `prepare` may fill in the template. */
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
    show(element, trial.template).focus(); // screen readers continue from the heading
    trial.prepare(element);
    element.querySelector("button.go").addEventListener("click", () => this.jsPsych.finishTrial({}), { once: true });
  }
}

/** A pair of images, then a choice by key, mouse or touch. The trial ends when the answer is stored. */
export class Pair {
  static info = {
    name: "pair",
    version: "1.0.0",
    parameters: {
      index: { type: jsPsychModule.ParameterType.INT },
      count: { type: jsPsychModule.ParameterType.INT },
      exposure: { type: jsPsychModule.ParameterType.FLOAT },
      loadImages: { type: jsPsychModule.ParameterType.FUNCTION },
      sendAnswer: { type: jsPsychModule.ParameterType.FUNCTION },
    },
    data: {},
  };

  constructor(jsPsych) {
    this.jsPsych = jsPsych;
  }

  async trial(element, trial) {
    const frames = this.layOut(element, trial);
    const images = await trial.loadImages(trial.index);
    await this.wait(FIXATION);
    const { side, milliseconds } = await this.waitForChoice(element, frames, images, trial.exposure);
    const reply = await trial.sendAnswer(trial.index, side, milliseconds);
    if (reply.real) this.showFeedback(element, side, reply.real);
    await this.wait(reply.real ? FEEDBACK : PAUSE);
    this.jsPsych.finishTrial({});
  }

  layOut(element, { index, count }) {
    show(element, "pair");
    const progress = element.querySelector("progress");
    [progress.max, progress.value] = [count, index];
    progress.setAttribute("aria-label", "Progress");
    element.querySelector(".count").textContent = `Pair ${index + 1} of ${count}`;
    return [...element.querySelectorAll(".frame")];
  }

  waitForChoice(element, frames, images, exposure) {
    const buttons = [...element.querySelectorAll(".side")];
    frames.forEach((frame, k) => frame.replaceChildren(images[k]));
    const start = performance.now();
    if (exposure) this.wait(1000 * exposure).then(() => element.classList.add("over"));
    return new Promise((resolve) => {
      const choose = (side) => {
        this.jsPsych.pluginAPI.cancelAllKeyboardResponses();
        buttons.forEach((button) => (button.disabled = true));
        element.querySelector(`[data-side=${side}]`).classList.add("chosen");
        resolve({ side, milliseconds: Math.round(performance.now() - start) });
      };
      element.classList.remove("over");
      buttons.forEach((button) => {
        button.disabled = false;
        button.addEventListener("click", () => choose(button.dataset.side), { once: true });
      });
      this.jsPsych.pluginAPI.getKeyboardResponse({
        callback_function: ({ key }) => choose(KEYS[key.toLowerCase()]),
        valid_responses: Object.keys(KEYS),
        persist: false,
      });
    });
  }

  showFeedback(element, side, real) {
    element.classList.remove("over");
    element.querySelector(`[data-side=${real}]`).classList.add("real");
    const verdict = side === real ? "Correct:" : "Wrong:";
    element.querySelector(".feedback").textContent = `${verdict} the ${real} image is real.`;
  }

  wait(milliseconds) {
    return new Promise((resolve) => this.jsPsych.pluginAPI.setTimeout(resolve, milliseconds));
  }
}
