// Uses the Files API through the unmodified `openai` package; prints the results as JSON.
import OpenAI, { AzureOpenAI, toFile } from "openai";

const url = process.argv[2];
const azure = { endpoint: url, apiKey: "any", apiVersion: "2025-04-01-preview", maxRetries: 0 };
const clients = [new OpenAI({ baseURL: `${url}/v1`, apiKey: "sk-any", maxRetries: 0 }), new AzureOpenAI(azure)];
const results = { contents: [], listed: [], deleted: [], errors: [] };
for (const client of clients) {
  const ids = [];
  for (const text of ["one", "two", "three"]) {
    const file = await toFile(Buffer.from(text), "a.jsonl");
    const expires_after = { anchor: "created_at", seconds: 3600 };
    ids.push((await client.files.create({ file, purpose: "evals", expires_after })).id);
  }
  for (const id of ids) results.contents.push(await (await client.files.content(id)).text());
  const seen = [];
  for await (const file of client.files.list({ limit: 2, order: "asc" })) seen.push(file.id);
  results.listed.push(JSON.stringify(seen) === JSON.stringify(ids));
  const wrong = [
    async () => client.files.create({ file: await toFile(Buffer.from(""), "a"), purpose: "bogus" }),
    () => client.files.retrieve("file-nothing"),
    () => client.files.list({ limit: 0 }),
  ];
  for (const request of wrong) {
    try {
      await request();
    } catch (error) {
      results.errors.push([error.constructor.name, error.status, error.code, error.param]);
    }
  }
  for (const id of ids) results.deleted.push((await client.files.delete(id)).deleted);
}
console.log(JSON.stringify(results));
