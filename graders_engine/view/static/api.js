// Requests to the server: with the key, dropped when they come too late, repeated while the server is gone.

const KEY = "graders-key";
const KEY_BEFORE = "graders-key-before"; // until the one that came after it has worked
const AGAIN_MS = 100; // the server itself waits a while before it says "not yet"
const GONE_MS = [500, 1000, 2000, 3000];

// What the server answers in place of the data.
export class ApiError extends Error {
  constructor(status, message) {
    super(message);
    this.name = "ApiError";
    this.status = status;
  }
}

// The key comes in the fragment of the address that the terminal printed, and leaves the address at once.
export const takeKey = () => {
  const found = /(?:^#|&)key=([^&]+)/.exec(location.hash);
  if (!found) return;
  const [before, key] = [localStorage.getItem(KEY), decodeURIComponent(found[1])];
  if (before && before !== key) localStorage.setItem(KEY_BEFORE, before);
  localStorage.setItem(KEY, key);
  history.replaceState(history.state, "", location.pathname + location.search);
};

// Goes back to the key before the last one; false if there is none.
const takeBack = () => {
  const before = localStorage.getItem(KEY_BEFORE);
  localStorage.removeItem(KEY_BEFORE);
  if (before) localStorage.setItem(KEY, before);
  return Boolean(before);
};

const pause = (milliseconds, signal) =>
  new Promise((done, failed) => {
    const timer = setTimeout(done, milliseconds);
    signal?.addEventListener("abort", () => (clearTimeout(timer), failed(signal.reason)), { once: true });
  });

const messageOf = async (answer) => {
  const text = await answer.text();
  try {
    return JSON.parse(text).error.message;
  } catch {
    return text.slice(0, 500) || `The server answered ${answer.status}.`;
  }
};

// onGone(isGone) is called when the server stops to answer, and when it does again.
export const makeApi = (onGone = () => {}) => {
  let isGone = false;
  const gone = (value) => value !== isGone && onGone((isGone = value));

  const send = async (path, options) => {
    const key = localStorage.getItem(KEY);
    const headers = { ...options.headers, ...(key ? { authorization: `Bearer ${key}` } : {}) };
    const answer = await fetch(path, { ...options, headers, cache: "no-store", redirect: "error" });
    if (answer.status === 401 && takeBack()) return send(path, options);
    if (answer.ok) localStorage.removeItem(KEY_BEFORE);
    else throw new ApiError(answer.status, await messageOf(answer));
    return answer;
  };

  // As `send`, again and again until the server is there; only for what may be asked twice.
  const patient = async (path, options) => {
    for (let tries = 0; ; tries++) {
      try {
        const answer = await send(path, options);
        gone(false);
        return answer;
      } catch (error) {
        if (options.signal?.aborted || !(error instanceof TypeError)) {
          if (error instanceof ApiError) gone(false);
          throw error;
        }
        gone(true);
        await pause(GONE_MS[Math.min(tries, GONE_MS.length - 1)], options.signal);
      }
    }
  };

  return {
    // The JSON at a path below /view/api/. While something is read the first time, onReading({done, of, what}) is called.
    async get(path, { signal, onReading = () => {} } = {}) {
      for (;;) {
        const answer = await patient(`/view/api/${path}`, { signal });
        const data = await answer.json();
        if (answer.status !== 202) return data;
        onReading(data.reading);
        await pause(AGAIN_MS, signal);
      }
    },
    async post(path, body, { signal } = {}) {
      const headers = { "content-type": "application/json" };
      try {
        return await (
          await send(`/view/api/${path}`, { method: "POST", headers, body: JSON.stringify(body), signal })
        ).json();
      } catch (error) {
        if (error instanceof TypeError) throw new ApiError(0, "The server does not answer. Is it still running?");
        throw error;
      }
    },
    // A whole text or file.
    async blob(path, { signal } = {}) {
      for (;;) {
        const answer = await patient(`/view/api/${path}`, { signal });
        if (answer.status !== 202) return answer.blob();
        await pause(AGAIN_MS, signal);
      }
    },
  };
};
