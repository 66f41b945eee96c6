// Makes the requests of a file of cases with the `openai` package of npm, and prints what it got as JSON.
// node driver.mjs KIND ADDRESSES CASES, as driver.py is called; KIND is `node` or `node-azure`.
import { readFileSync } from "node:fs";
import OpenAI, { APIError, AzureOpenAI, toFile } from "openai";
import { VERSION } from "openai/version";

const [kind, addresses, cases] = [process.argv[2], JSON.parse(process.argv[3]), JSON.parse(readFileSync(process.argv[4]))];
const rooms = [...new Set(cases.map(({ call }) => call.slice(0, call.lastIndexOf("."))))];
const names = { LONG: "x".repeat(5000), OVER512: "x".repeat(513) };

const camel = (name) => name.replace(/_([a-z])/g, (_, letter) => letter.toUpperCase());
const snake = (name) => name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
const roomOf = (client, room) => room.split(".").reduce((target, part) => target[camel(part)], client);

function clientOf({ key = "sk-own", at = "own", retries = 0, timeout }) {
  const options = { apiKey: key, maxRetries: retries, ...(timeout ? { timeout: timeout * 1000 } : {}) };
  return kind === "node-azure"
    ? new AzureOpenAI({ endpoint: addresses[at], apiVersion: "2025-04-01-preview", ...options })
    : new OpenAI({ baseURL: `${addresses[at]}/v1`, ...options });
}

function filled(value) {
  if (typeof value === "string") return value.replace(/\$([A-Z]\w*)/g, (_, name) => names[name]);
  if (Array.isArray(value)) return value.map(filled);
  if (value === null || typeof value !== "object") return value;
  return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, filled(one)]));
}

function textOf(file) {
  if (file.rows) return file.rows.map((row) => JSON.stringify(row) + "\n").join("");
  return file.text.repeat(file.times ?? 1);
}

async function asJson(answer) {
  return typeof answer?.text === "function" ? await answer.text() : answer;
}

async function once(method, given, one) {
  for (let attempt = 0; attempt < 600; attempt++) {
    const promise = method(...given);
    if (one.raw) {
      const { data, response, request_id } = await promise.withResponse();
      return { answer: await asJson(data), status: response.status, request_id: Boolean(request_id) };
    }
    const answer = await promise;
    if (one.pages) {
      const pages = [];
      for await (const page of answer.iterPages()) pages.push(page.data.map((item) => item.id));
      const all = [];
      for await (const item of method(...given)) all.push(item.id);
      const { object, data, first_id, last_id, has_more } = answer.body ?? answer;
      return { pages, all, answer: { object, data, first_id, last_id, has_more } };
    }
    if (!one.until || one.until.includes(answer.status)) return { answer: await asJson(answer) };
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error(`"${one.name}" did not end`);
}

async function make(one) {
  const { headers, ...settings } = filled(one.client ?? {});
  const params = filled(one.params ?? {});
  if (one.call === "files.wait_for_processing") for (const key of Object.keys(params)) delete params[key];
  if (one.file) params.file = await toFile(Buffer.from(textOf(one.file)), one.file.name);
  const room = one.call.slice(0, one.call.lastIndexOf("."));
  const target = roomOf(clientOf(settings), room);
  const verb = camel(one.call.slice(room.length + 1));
  const given = one.id === undefined ? [] : [filled(one.id)];
  if (Object.keys(params).length) given.push(params);
  if (headers) given.push(...(verb === "list" && !Object.keys(params).length ? [{}] : []), { headers });
  try {
    let got;
    for (let time = 0; time < (one.times ?? 1); time++) got = await once((...all) => target[verb](...all), given, one);
    for (const [name, path] of Object.entries(one.save ?? {})) {
      names[name] = path.split(".").reduce((value, step) => value[step], got.answer);
    }
    return got;
  } catch (error) {
    if (!(error instanceof APIError)) throw error;
    const { status = null, code, param, type, requestID, message } = error;
    return {
      error: { class: error.constructor.name, status, code, param, type, request_id: Boolean(requestID), message },
    };
  }
}

const methods = rooms.flatMap((room) =>
  Object.getOwnPropertyNames(Object.getPrototypeOf(roomOf(clientOf({}), room)))
    .filter((name) => name !== "constructor")
    .map((name) => `${room}.${snake(name)}`),
);
const results = [];
for (const one of cases) if ((one.only ?? "node") === "node") results.push(await make(one));
console.log(JSON.stringify({ version: VERSION, methods, names, results }));
