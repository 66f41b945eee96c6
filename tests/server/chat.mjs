// Asks models through the unmodified `openai` package, whole and in pieces; prints what came as JSON.
import OpenAI from "openai";

const [url, apiKey, base, tuned] = process.argv.slice(2);
const client = new OpenAI({ baseURL: `${url}/v1`, apiKey, maxRetries: 0 });
const ask = { model: base, messages: [{ role: "user", content: "Say it." }], temperature: 0 };
const found = { answers: [], streamed: "", errors: [] };

for (const model of [base, tuned]) {
  const answer = await client.chat.completions.create({ ...ask, model });
  found.answers.push(answer.choices[0].message.content);
}
const pieces = await client.chat.completions.create({ ...ask, stream: true, stream_options: { include_usage: true } });
for await (const piece of pieces) {
  found.streamed += piece.choices[0]?.delta.content ?? "";
  found.tokens = piece.usage?.completion_tokens;
}
const listed = [];
for await (const one of client.models.list()) listed.push(one.id);
found.listed = [listed.includes(base), (await client.models.retrieve(tuned)).id === tuned];
const gone = await client.models.delete(tuned);
found.deleted = [gone.id, gone.object, gone.deleted];
const wrong = [
  () => client.chat.completions.create({ ...ask, model: tuned }),
  () => client.models.delete(base),
  () => client.chat.completions.create({ ...ask, logprobs: true }),
];
for (const request of wrong) {
  try {
    await request();
  } catch (error) {
    found.errors.push([error.constructor.name, error.status, error.code, error.param]);
  }
}
console.log(JSON.stringify(found));
