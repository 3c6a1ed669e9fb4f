// The course of the study, from consent to thanks. Nothing is sent before the participant has agreed.

import { forget, identity, join, resume, sendAnswer } from "./api.js";
import { Pair, Screen, show } from "./plugins.js";
import { preloader } from "./preload.js";

const settings = document.body.dataset;
const query = new URLSearchParams(location.search);
const MTURK_ORIGINS = ["https://workersandbox.mturk.com", "https://www.mturk.com"];
const REDIRECT_DELAY = 3000; // milliseconds

const jsPsych = initJsPsych({ display_element: "study" });

async function main() {
  let state = await resume();
  if (state?.finished) return showThanks(state);
  await jsPsych.run(state ? welcomeBack(state) : welcome());
  state ??= await join();
  await jsPsych.run(pairs(state));
  showThanks(await resume());
}

function welcome() {
  const preview = query.get("assignmentId") === "ASSIGNMENT_ID_NOT_AVAILABLE";
  const prepare = (element) => {
    element.querySelector(".preview").hidden = !preview;
    element.querySelector(".go").disabled = preview;
  };
  return [
    { type: Screen, template: "consent", prepare },
    { type: Screen, template: "instructions" },
  ];
}

function welcomeBack({ done, trials }) {
  const prepare = (element) => (element.querySelector(".count").textContent = `${done} of ${trials.length}`);
  return [{ type: Screen, template: "welcome-back", prepare }];
}

function pairs({ done, trials }) {
  const loadImages = preloader(trials);
  const practice = trials.filter((trial) => trial.practice).length;
  const shared = { type: Pair, count: trials.length, exposure: Number(settings.exposure), loadImages, sendAnswer };
  return trials.flatMap((_, index) => {
    if (index < done) return [];
    const pair = { ...shared, index };
    return practice && index === practice ? [{ type: Screen, template: "practice-done" }, pair] : [pair];
  });
}

function showThanks({ completion_url: completionUrl }) {
  const element = showLast("thanks");
  if (completionUrl) redirect(element, completionUrl);
  if ("mturk" in settings && identity.service === "mturk") offerHit(element);
  // On a shared device, the next person starts a new participation.
  if (!("forbidRepeats" in settings) && !identity.service) forget();
}

function showLast(template) {
  const element = document.createElement("div");
  document.getElementById("study").replaceChildren(element);
  show(element, template).focus();
  return element;
}

function redirect(element, url) {
  element.querySelector(".close").hidden = true;
  element.querySelector(".completion").hidden = false;
  element.querySelector(".completion a").href = url;
  setTimeout(() => location.assign(url), REDIRECT_DELAY);
}

function offerHit(element) {
  const target = MTURK_ORIGINS.find((origin) => origin === query.get("turkSubmitTo"));
  if (!target) return;
  const form = element.querySelector("form");
  element.querySelector(".close").hidden = true;
  form.hidden = false;
  form.action = `${target}/mturk/externalSubmit`;
  form.elements.assignmentId.value = query.get("assignmentId");
}

main().catch((error) => {
  showLast("error").querySelector(".detail").textContent = error.message;
});
