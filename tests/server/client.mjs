// Runs and validates graders through the unmodified `openai` package; prints the results as JSON.
import OpenAI from "openai";

const [url, graders] = [process.argv[2], JSON.parse(process.argv[3])];
const client = new OpenAI({ baseURL: `${url}/v1`, apiKey: "sk-any", maxRetries: 1 });
const alpha = client.fineTuning.alpha.graders;
const results = { rewards: [], echoes: [], errors: [] };
for (const grader of graders) {
  const answer = await alpha.run({ grader, model_sample: "cat", item: { label: "cat" } });
  results.rewards.push(answer.reward);
  results.echoes.push((await alpha.validate({ grader })).grader);
}
const wrong = [
  () => alpha.run({ grader: { ...graders[0], operation: "bogus" }, model_sample: "cat" }),
  () => alpha.validate({ grader: { type: "multi", graders: "x", calculate_output: "x" } }),
  () => client.models.list(),
];
for (const request of wrong) {
  try {
    await request();
  } catch (error) {
    const { status, code, param, type, requestID } = error;
    results.errors.push({ class: error.constructor.name, status, code, param, type, id: typeof requestID });
  }
}
console.log(JSON.stringify(results));
