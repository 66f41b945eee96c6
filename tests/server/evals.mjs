// Calls every method of `client.evals` through the unmodified `openai` package; prints what came as JSON.
import OpenAI from "openai";

const [url, body, rows] = [process.argv[2], JSON.parse(process.argv[3]), JSON.parse(process.argv[4])];
const client = new OpenAI({ baseURL: `${url}/v1`, apiKey: "sk-any", maxRetries: 1 });
const { evals } = client;
const { runs } = evals;
const found = { errors: [] };

const made = await evals.create(body);
found.same = (await evals.retrieve(made.id)).id === made.id;
found.renamed = (await evals.update(made.id, { name: "from node" })).name;
found.listed = [];
for await (const one of evals.list({ limit: 2, order: "desc" })) found.listed.push(one.id);
found.first = found.listed[0] === made.id;

const data_source = { type: "jsonl", source: { type: "file_content", content: rows } };
let run = await runs.create(made.id, { name: "run", data_source });
while (["queued", "in_progress"].includes(run.status)) {
  await new Promise((resolve) => setTimeout(resolve, 50));
  run = await runs.retrieve(run.id, { eval_id: made.id });
}
found.run = [run.status, run.result_counts];
found.runs = [];
for await (const one of runs.list(made.id, { status: "completed" })) found.runs.push(one.id === run.id);
found.items = [];
for await (const item of runs.outputItems.list(run.id, { eval_id: made.id, limit: 1 })) {
  const same = await runs.outputItems.retrieve(item.id, { eval_id: made.id, run_id: run.id });
  found.items.push([item.status, same.datasource_item_id]);
}
const wrong = [
  () => runs.cancel(run.id, { eval_id: made.id }),
  () => evals.create({ ...body, testing_criteria: [] }),
  () => evals.list({ after: "nothing" }).then((page) => page.data),
  () => runs.retrieve("nothing", { eval_id: made.id }),
];
for (const request of wrong) {
  try {
    await request();
  } catch (error) {
    found.errors.push([error.constructor.name, error.status, error.code, error.param]);
  }
}
found.deleted = [
  (await runs.delete(run.id, { eval_id: made.id })).deleted,
  (await evals.delete(made.id)).deleted,
];
console.log(JSON.stringify(found));
