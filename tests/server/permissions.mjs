// Calls every method of `client.fineTuning.checkpoints.permissions` and `client.models`; prints what came as JSON.
import OpenAI from "openai";

const [url, adminKey, otherKey, model] = process.argv.slice(2);
const as = (key) => new OpenAI({ baseURL: `${url}/v1`, apiKey: key, adminAPIKey: key, maxRetries: 0 });
const { permissions } = as(adminKey).fineTuning.checkpoints;
const other = as(otherKey);
const found = { errors: [], seen: [] };

async function all(pages) {
  const rows = [];
  for await (const one of pages) rows.push(one);
  return rows;
}
const sees = async () => (await all(other.models.list())).some((one) => one.id === model);

found.seen.push(await sees());
const made = await all(permissions.create(model, { project_ids: ["other", "third"] }));
found.created = made.map((one) => one.project_id);
found.listed = (await all(permissions.list(model, { limit: 1 }))).map((one) => one.project_id);
const old = await permissions.retrieve(model, { limit: 1, order: "ascending" });
found.retrieved = [old.data[0].project_id, old.has_more];
found.seen.push(await sees());
const shown = await other.models.retrieve(model);
found.model = [shown.id, shown.object, shown.owned_by];
const gone = await permissions.delete(made[0].id, { fine_tuned_model_checkpoint: model });
found.deleted = [gone.object, gone.deleted];
found.left = (await all(permissions.list(model))).map((one) => one.project_id);
found.seen.push(await sees());
const wrong = [
  () => other.fineTuning.checkpoints.permissions.list(model).then((page) => page.data),
  () => permissions.create(model, { project_ids: ["nobody"] }).then((page) => page.data),
  () => permissions.list("ft:none").then((page) => page.data),
  () => other.models.delete(model),
];
for (const request of wrong) {
  try {
    await request();
  } catch (error) {
    found.errors.push([error.constructor.name, error.status, error.code, error.param]);
  }
}
console.log(JSON.stringify(found));
