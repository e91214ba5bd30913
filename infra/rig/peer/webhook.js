// The webhook function in Node 20: the same secret, the same checks, one task per item, the same calls to SQS and DynamoDB with
// the same content. On the smallest runtime that serves the Runtime API, and with clients made at start.

import { createHmac, randomUUID, timingSafeEqual } from "node:crypto";
import http from "node:http";
import { DynamoDBClient, TransactWriteItemsCommand } from "@aws-sdk/client-dynamodb";
import { GetSecretValueCommand, SecretsManagerClient } from "@aws-sdk/client-secrets-manager";
import { SendMessageBatchCommand, SQSClient } from "@aws-sdk/client-sqs";

const { APP_SECRET, INBOUND_QUEUE_URL, STACK_NAME, TABLE_NAME, AWS_LAMBDA_RUNTIME_API } = process.env;
// The SDK takes a queue's own address for its endpoint; ours is the same with another path.
const sqs = new SQSClient({ useQueueUrlAsEndpoint: false });
const dynamodb = new DynamoDBClient({});
const secretsManager = new SecretsManagerClient({});
const FRESH = 300_000;
let secret;

async function secrets() {
  if (!secret || Date.now() - secret.at > FRESH) {
    const answer = await secretsManager.send(new GetSecretValueCommand({ SecretId: APP_SECRET }));
    secret = { at: Date.now(), ...JSON.parse(answer.SecretString) };
  }
  return secret;
}

const subject = (key, kind, ...values) => {
  const mac = createHmac("sha256", key).update(`${kind}\0`);
  for (const value of values) mac.update(value);
  return mac.digest("hex").slice(0, 32);
};

function verified(appSecret, signature, body) {
  const given = Buffer.from((signature ?? "").replace(/^sha256=/, ""), "hex");
  const own = createHmac("sha256", appSecret).update(body).digest();
  return given.length === own.length && timingSafeEqual(given, own);
}

function tasks(body, key) {
  const out = [];
  for (const entry of JSON.parse(body).entry ?? []) {
    for (const change of entry.changes ?? []) {
      const value = change.value ?? {};
      const channel = value.metadata?.phone_number_id;
      for (const message of value.messages ?? []) {
        const contact = (value.contacts ?? []).find((one) => one.wa_id === message.from) ?? {};
        out.push({
          task: "message_v1",
          item: subject(key, "item", "message", message.id),
          channel,
          wamid: message.id,
          sender: { phone: message.from, user_id: contact.user_id, name: contact.profile?.name },
          subject: subject(key, "phone", message.from),
          sent_at: Number(message.timestamp) * 1000,
          kind: message.type,
          content: message[message.type],
        });
      }
      for (const status of value.statuses ?? []) {
        out.push({ task: "status_v1", item: subject(key, "item", "status", status.id, status.status), channel, ...status });
      }
    }
  }
  return out;
}

async function enqueue(all) {
  const lanes = Math.min(8, Math.max(1, Math.floor(all.length / 50)));
  const queues = Array.from({ length: lanes }, () => []);
  for (const task of all) queues[parseInt(task.subject.slice(0, 4), 16) % lanes].push(task);
  await Promise.all(queues.map(async (lane) => {
    for (let at = 0; at < lane.length; at += 10) {
      const Entries = lane.slice(at, at + 10).map((task, id) => ({
        Id: String(id),
        MessageBody: JSON.stringify(task),
        MessageGroupId: `${task.channel}#${task.subject}`,
        MessageDeduplicationId: randomUUID(),
      }));
      const answer = await sqs.send(new SendMessageBatchCommand({ QueueUrl: INBOUND_QUEUE_URL, Entries }));
      if (answer.Failed?.length) throw new Error("not all were taken");
    }
  }));
}

async function count(all) {
  const now = Math.floor(Date.now() / 1000);
  const day = Math.floor(now / 86_400);
  for (let at = 0; at < all.length; at += 99) {
    const some = all.slice(at, at + 99);
    const channel = some[0].channel;
    const claims = some.map((task) => ({
      Put: {
        TableName: TABLE_NAME,
        Item: {
          pk: { S: `claim#${task.item}` }, sk: { S: "claim" }, state: { S: "received" },
          counted_for: { S: channel }, counted_on: { N: String(day) },
          expires_at: { N: String(now + 15 * 86_400) },
        },
        ConditionExpression: "attribute_not_exists(pk) OR expires_at <= :now",
        ExpressionAttributeValues: { ":now": { N: String(now) } },
      },
    }));
    const row = {
      Update: {
        TableName: TABLE_NAME,
        Key: { pk: { S: `counter#${channel}` }, sk: { S: `${day}#${some[0].item.slice(0, 2)}` } },
        UpdateExpression: "ADD received :received, waiting :waiting SET expires_at = :end",
        ExpressionAttributeValues: {
          ":received": { N: String(some.length) }, ":waiting": { N: String(some.length) },
          ":end": { N: String(now + 400 * 86_400) },
        },
      },
    };
    await dynamodb.send(new TransactWriteItemsCommand({ TransactItems: [...claims, row] }));
  }
}

const empty = (statusCode) => ({ statusCode, headers: {}, multiValueHeaders: {}, body: "", isBase64Encoded: false });

async function handle(event) {
  const body = Buffer.from(event.body ?? "", event.isBase64Encoded ? "base64" : "utf8");
  const known = await secrets();
  if (!verified(known.app_secret, event.headers["x-hub-signature-256"], body)) return empty(401);
  const all = tasks(body, known.subject_key);
  await enqueue(all);
  await count(all);
  console.error(JSON.stringify({
    _aws: { Timestamp: Date.now(), CloudWatchMetrics: [{ Namespace: "Peer", Dimensions: [["Function", "Stack"]], Metrics: [{ Name: "Received", Unit: "Count" }] }] },
    Function: "webhook", Stack: STACK_NAME, Received: all.length,
  }));
  return empty(200);
}

// ------------------------------------------------------------------ the runtime

const [host, port] = AWS_LAMBDA_RUNTIME_API.split(":");
const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });

function ask(method, path, body) {
  return new Promise((resolve, reject) => {
    const request = http.request({ host, port, agent, method, path: `/2018-06-01/runtime/${path}` }, (response) => {
      const chunks = [];
      response.on("data", (chunk) => chunks.push(chunk));
      response.on("end", () => resolve({ headers: response.headers, text: Buffer.concat(chunks).toString() }));
    });
    request.on("error", reject);
    request.end(body);
  });
}

async function main() {
  await secrets().catch(() => {});
  for (;;) {
    const { headers, text } = await ask("GET", "invocation/next");
    const id = headers["lambda-runtime-aws-request-id"];
    try {
      await ask("POST", `invocation/${id}/response`, JSON.stringify(await handle(JSON.parse(text))));
    } catch (error) {
      await ask("POST", `invocation/${id}/error`, JSON.stringify({ errorMessage: String(error), errorType: "Error" }));
    }
  }
}

main();
