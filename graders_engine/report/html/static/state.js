// The address is the state: its parts as values, and the addresses of pages.

const part = encodeURIComponent;

export const runHref = (run, page = "", row = null) =>
  `/view/runs/${part(run)}${page && `/${page}`}${row === null ? "" : `/${part(row)}`}`;

export const jobHref = (job) => `/view/jobs/${part(job)}`;

// B is compared with A; one that is null is still to be chosen.
export const compareHref = (a, b) => `/view/compare?${new URLSearchParams({ ...(a ? { a } : {}), ...(b ? { b } : {}) })}`;

// A report of preflight; with a line of one of its files, that row.
export const preflightHref = (report, place = null) =>
  `/view/preflight${place ? "/row" : ""}?${new URLSearchParams({ report, ...place })}`;

// What narrows the rows, by name as in the address. `sub.` leads the keys of sub-rewards.
export const isFilter = (name) =>
  ["q", "status", "blame", "flag", "reward", "seconds", "length"].includes(name) || name.startsWith("sub.");

// "0.2..0.4" as {low, high, below}; null where an end is open; null for no range. In "0.8..<0.9", as of a bar, the
// upper end does not belong to it.
export const readRange = (text) => {
  const at = (text ?? "").indexOf("..");
  if (at < 0) return null;
  const below = text[at + 2] === "<";
  const [low, high] = [text.slice(0, at), text.slice(at + (below ? 3 : 2))].map((end) =>
    end.trim() === "" ? null : Number(end),
  );
  return Number.isNaN(low) || Number.isNaN(high) ? null : { low, high, below };
};

export const writeRange = ({ low, high, below = false }) =>
  low === null && high === null ? "" : `${low ?? ""}..${below && high !== null ? "<" : ""}${high ?? ""}`;

// A copy of the parameters with changes: null or "" takes a name away, a list gives a name several values.
export const changed = (query, changes) => {
  const made = new URLSearchParams(query);
  for (const [name, value] of Object.entries(changes)) {
    made.delete(name);
    for (const one of [value].flat()) if (one !== null && one !== undefined && one !== "") made.append(name, one);
  }
  return made;
};

// The filters alone: what a row's previous and next, an export, and a link to the same selection need.
export const filtersOf = (query) => {
  const made = new URLSearchParams();
  for (const [name, value] of query) if (isFilter(name) || name === "sort") made.append(name, value);
  return made;
};

export const withQuery = (path, query) => {
  const text = String(query);
  return text ? `${path}?${text}` : path;
};

// What this browser remembers: hidden columns, whether a run has samples of prompts. Never what filters.
export const remembered = (name, otherwise) => {
  try {
    return JSON.parse(localStorage.getItem(`graders-${name}`)) ?? otherwise;
  } catch {
    return otherwise;
  }
};
export const remember = (name, value) => localStorage.setItem(`graders-${name}`, JSON.stringify(value));
