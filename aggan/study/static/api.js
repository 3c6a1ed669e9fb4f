// Requests from the page to the server. A request is repeated until the server replies, so no answer is lost.

const settings = document.body.dataset;
const query = new URLSearchParams(location.search);
const MAX_DELAY = 15_000; // milliseconds

/** The participant's identity from the link of Prolific or MTurk; empty for a plain link. */
export const identity = query.has("PROLIFIC_PID")
  ? { service: "prolific", person: query.get("PROLIFIC_PID"), session: `${query.get("STUDY_ID")}:${query.get("SESSION_ID")}` }
  : query.has("workerId")
    ? { service: "mturk", person: query.get("workerId"), session: `${query.get("hitId")}:${query.get("assignmentId")}` }
    : {};

// If repeats are forbidden, a new session of the same person continues the participation. Otherwise it is a new one.
const { person = "", session = "" } = identity;
const storageKey = `aggan-study/${settings.study}/${person}${"forbidRepeats" in settings ? "" : session}`;
let token = readToken();

export class RequestRefused extends Error {
  constructor(status, detail) {
    super(detail);
    this.status = status;
  }
}

/** The state of this browser's participation, or null if there is none. */
export async function resume() {
  if (!token) return null;
  try {
    return await request("participants/me");
  } catch (error) {
    if (error.status !== 401) throw error;
    return null; // the server may not have received the token yet: `join` sends the same one again
  }
}

/** Start a participation. The token is stored before it is sent, so a repeated request cannot start a second one. */
export async function join() {
  token ??= randomToken();
  try {
    localStorage.setItem(storageKey, token);
  } catch {
    // Without storage, participants can take part but cannot resume.
  }
  return request("participants", { ...identity, token });
}

/** Store an answer. Returns the server's reply. */
export async function sendAnswer(trial, chosen, milliseconds) {
  try {
    return await request("answers", { trial, chosen, milliseconds });
  } catch (error) {
    if (error.status !== 409) throw error;
    // Either the server has this answer and its reply was lost, or another tab is ahead.
    const state = await resume();
    if (state?.done !== trial + 1) location.reload();
    return state;
  }
}

/** Forget the participant, so that the next visitor of this link starts a new participation. */
export function forget() {
  token = null;
  try {
    localStorage.removeItem(storageKey);
  } catch {
    // Nothing was stored.
  }
}

/** 256 random bits in URL-safe base64. */
function randomToken() {
  const bytes = crypto.getRandomValues(new Uint8Array(32));
  return btoa(String.fromCharCode(...bytes)).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

function readToken() {
  try {
    return localStorage.getItem(storageKey);
  } catch {
    return null;
  }
}

async function request(path, content) {
  for (let delay = 1000; ; delay = Math.min(2 * delay, MAX_DELAY)) {
    const reply = await tryRequest(path, content);
    if (reply) return reply;
    document.getElementById("connection").textContent = "No connection to the server. Trying again; your answers are safe.";
    await new Promise((resolve) => setTimeout(resolve, delay));
  }
}

/** Send one request. Returns null if the server cannot be reached, is busy or fails. */
async function tryRequest(path, content) {
  const headers = { "content-type": "application/json", ...(token && { authorization: `Bearer ${token}` }) };
  const method = content ? "POST" : "GET";
  try {
    const response = await fetch(path, { method, headers, body: content && JSON.stringify(content), cache: "no-store" });
    if (response.status === 429 || response.status >= 500) return null;
    const reply = await response.json();
    document.getElementById("connection").textContent = "";
    if (!response.ok) throw new RequestRefused(response.status, reply.detail);
    return reply;
  } catch (error) {
    if (error instanceof RequestRefused) throw error;
    return null;
  }
}
