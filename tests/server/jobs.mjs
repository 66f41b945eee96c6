// Calls every method of `client.fineTuning.jobs` through the unmodified `openai` package; prints what came as JSON.
import OpenAI, { toFile } from "openai";

const [url, rows, others, grader] = [process.argv[2], ...process.argv.slice(3).map((one) => JSON.parse(one))];
const client = new OpenAI({ baseURL: `${url}/v1`, apiKey: "sk-any", maxRetries: 1 });
const { jobs } = client.fineTuning;
const found = { errors: [] };

async function upload(values) {
  const text = values.map((one) => `${JSON.stringify(one)}\n`).join("");
  return (await client.files.create({ file: await toFile(Buffer.from(text), "rows.jsonl"), purpose: "fine-tune" })).id;
}

async function until(id, ...statuses) {
  for (;;) {
    const job = await jobs.retrieve(id);
    if (statuses.includes(job.status)) return job;
    if (["succeeded", "failed", "cancelled"].includes(job.status)) throw new Error(JSON.stringify(job));
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

const body = {
  model: "tiny",
  training_file: await upload(rows),
  validation_file: await upload(others),
  seed: 101,
  suffix: "node",
  metadata: { from: "node" },
  method: { type: "reinforcement", reinforcement: { grader, hyperparameters: { n_epochs: 2, batch_size: 2 } } },
};
const made = await jobs.create(body);
found.created = [made.object, made.status, made.method.reinforcement.hyperparameters.eval_interval];
await until(made.id, "running");
found.cancelled = (await jobs.cancel(made.id)).status;
const job = await jobs.create({ ...body, seed: 102 });
await until(job.id, "running");
found.pausing = ["pausing", "paused"].includes((await jobs.pause(job.id)).status);
await until(job.id, "paused");
found.resumed = ["queued", "running"].includes((await jobs.resume(job.id)).status);
const done = await until(job.id, "succeeded");
found.model = done.fine_tuned_model.split(":").slice(0, 4);
found.listed = [];
for await (const one of jobs.list({ limit: 1, metadata: { from: "node" } })) found.listed.push(one.id === made.id);
found.steps = [];
for await (const one of jobs.listEvents(job.id, { limit: 7 })) if (one.type === "metrics") found.steps.push(one.data.step);
found.checkpoints = [];
for await (const one of jobs.checkpoints.list(job.id, { limit: 1 })) found.checkpoints.push(one.step_number);
const wrong = [
  () => jobs.cancel(job.id),
  () => jobs.create({ ...body, model: "gpt-4o" }),
  () => jobs.create({ ...body, validation_file: undefined }),
  () => jobs.list({ after: "nothing" }).then((page) => page.data),
  () => jobs.retrieve("nothing"),
];
for (const request of wrong) {
  try {
    await request();
  } catch (error) {
    found.errors.push([error.constructor.name, error.status, error.code, error.param]);
  }
}
console.log(JSON.stringify(found));
