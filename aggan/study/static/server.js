// What the page says to the server. It asks until it is answered: an answer that was given is never dropped.

const body = document.body.dataset;
const query = new URLSearchParams(location.search);
const LONGEST_WAIT = 15_000; // milliseconds

/** Who Prolific or MTurk says that this is; empty for a plain link. */
export const identity = query.has("PROLIFIC_PID")
  ? { service: "prolific", person: query.get("PROLIFIC_PID"), session: `${query.get("STUDY_ID")}:${query.get("SESSION_ID")}` }
  : query.has("workerId")
    ? { service: "mturk", person: query.get("workerId"), session: `${query.get("hitId")}:${query.get("assignmentId")}` }
    : {};

// Who may take part once goes on under a service's next session; else that is a participation of its own.
const { person = "", session = "" } = identity;
const memory = `aggan-study/${body.study}/${person}${"once" in body ? "" : session}`;
let token = remembered();

export class Refused extends Error {
  constructor(status, why) {
    super(why);
    this.status = status;
  }
}

/** Where this browser's participant stands, or null where there is none. */
export async function resume() {
  if (!token) return null;
  try {
    return await ask("participants/me");
  } catch (why) {
    if (why.status !== 401) throw why;
    return null; // perhaps the server has not heard of it yet: to join, the same token is sent
  }
}

/** Begin a participation. The token is kept before it is sent, so whoever gets no answer asks again as the same one. */
export async function join() {
  token ??= drawn();
  try {
    localStorage.setItem(memory, token);
  } catch {
    // Without storage one can take part, but not come back.
  }
  return ask("participants", { ...identity, token });
}

/** Store an answer; gives what the server says of it. */
export async function answer(trial, chosen, milliseconds) {
  try {
    return await ask("answers", { trial, chosen, milliseconds });
  } catch (why) {
    if (why.status !== 409) throw why;
    // The server has it already and its reply was lost, or another tab is further.
    const state = await resume();
    if (state?.done !== trial + 1) location.reload();
    return state;
  }
}

/** The next one at this link is somebody else. */
export function forget() {
  token = null;
  try {
    localStorage.removeItem(memory);
  } catch {
    // Nothing was kept.
  }
}

/** 256 random bits in URL-safe base64. */
function drawn() {
  const bytes = crypto.getRandomValues(new Uint8Array(32));
  return btoa(String.fromCharCode(...bytes)).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

function remembered() {
  try {
    return localStorage.getItem(memory);
  } catch {
    return null;
  }
}

async function ask(path, sent) {
  for (let wait = 1000; ; wait = Math.min(2 * wait, LONGEST_WAIT)) {
    const reply = await once(path, sent);
    if (reply) return reply;
    document.getElementById("connection").textContent = "No connection to the study. Trying again; nothing is lost.";
    await new Promise((done) => setTimeout(done, wait));
  }
}

async function once(path, sent) {
  const headers = { "content-type": "application/json", ...(token && { authorization: `Bearer ${token}` }) };
  let reply;
  try {
    reply = await fetch(path, { method: sent ? "POST" : "GET", headers, body: sent && JSON.stringify(sent), cache: "no-store" });
    if (reply.status === 429 || reply.status >= 500) return null;
    const told = await reply.json();
    document.getElementById("connection").textContent = "";
    if (!reply.ok) throw new Refused(reply.status, told.refused);
    return told;
  } catch (why) {
    if (why instanceof Refused) throw why;
    return null;
  }
}
