// From consent to thanks. Nothing is sent of anybody who has not agreed.

import { loader } from "./pictures.js";
import { Pair, Screen, show } from "./plugins.js";
import { answer, forget, identity, join, resume } from "./server.js";

const settings = document.body.dataset;
const query = new URLSearchParams(location.search);
const MTURK = ["https://workersandbox.mturk.com", "https://www.mturk.com"];
const GO_BACK = 3000; // milliseconds

const jsPsych = initJsPsych({ display_element: "study" });

async function main() {
  let state = await resume();
  if (state?.finished) return thank(state);
  const opening = state ? welcomeBack(state) : welcome();
  await jsPsych.run(opening);
  state ??= await join();
  await jsPsych.run(pairs(state));
  await thank(await resume());
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
  return [{ type: Screen, template: "back", prepare }];
}

function pairs({ done, trials }) {
  const pictures = loader(trials);
  const practice = trials.filter((trial) => trial.practice).length;
  const shared = { type: Pair, count: trials.length, exposure: Number(settings.exposure), pictures, answer };
  return trials.flatMap((_, index) => {
    if (index < done) return [];
    const pair = { ...shared, index };
    return practice && index === practice ? [{ type: Screen, template: "practised" }, pair] : [pair];
  });
}

async function thank({ completion }) {
  const element = last("thanks");
  if (completion) goBack(element, completion);
  if ("mturk" in settings && identity.service === "mturk") offerForm(element);
  // On a shared device the next person begins anew.
  if (!("once" in settings) && !identity.service) forget();
}

function last(template) {
  const element = document.createElement("div");
  document.getElementById("study").replaceChildren(element);
  show(element, template).focus();
  return element;
}

function goBack(element, url) {
  element.querySelector(".bye").hidden = true;
  element.querySelector(".completion").hidden = false;
  element.querySelector(".completion a").href = url;
  setTimeout(() => location.assign(url), GO_BACK);
}

function offerForm(element) {
  const target = MTURK.find((known) => known === query.get("turkSubmitTo"));
  if (!target) return;
  const form = element.querySelector("form");
  element.querySelector(".bye").hidden = true;
  form.hidden = false;
  form.action = `${target}/mturk/externalSubmit`;
  form.elements.assignmentId.value = query.get("assignmentId");
}

main().catch((why) => {
  last("sorry").querySelector(".why").textContent = `${why.message}.`;
});
