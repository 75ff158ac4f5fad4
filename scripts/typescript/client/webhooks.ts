/** Verification of webhooks with WebCrypto: in Node 18 and newer, Deno, Workers and browsers. */
import type { webhooks } from "../generated/api.js";
import { SignatureInvalid } from "./errors.js";
import { webCrypto } from "./platform.js";

/** The event of a webhook. `event` tells which type `data` has. */
export type WebhookEvent = {
  [Event in keyof webhooks]: webhooks[Event]["post"]["requestBody"]["content"]["application/json"];
}[keyof webhooks];

/** A `Headers`, or an object such as `request.headers` of Node. Names may have any case. */
export type WebhookHeaders = Headers | Record<string, string | string[] | undefined>;

const MAX_BODY_BYTES = 2 * 1024 * 1024; // many times the largest event
const MAX_SIGNATURES = 10; // of one webhook: two while a secret is rotated, each in up to two forms
const HMAC = { name: "HMAC", hash: "SHA-256" };

/**
 * Verify the signature of a webhook and return its event. `body` must be the raw request body.
 *
 * Checks the Standard Webhooks signature and its age, or `X-Relay-Signature` alone, which has no age. Throws
 * `SignatureInvalid`, and a `TypeError` if the secret is empty. Process each `id` once, because a webhook may arrive
 * more than once.
 */
export async function verifyWebhook(
  body: string | Uint8Array | ArrayBuffer,
  headers: WebhookHeaders,
  secret: string,
  { toleranceSeconds = 300 }: { toleranceSeconds?: number } = {},
): Promise<WebhookEvent> {
  if (!secret || secret === "whsec_")
    throw new TypeError("the secret is empty: pass the secret of the webhook endpoint");
  const raw = bytesOf(body);
  if (raw.length > MAX_BODY_BYTES) throw new SignatureInvalid(`the body is larger than ${MAX_BODY_BYTES} bytes`);
  const get = reader(headers);
  const standard = get("webhook-signature");
  const relay = get("x-relay-signature");
  let valid: boolean;
  if (standard !== undefined) {
    const stamp = get("webhook-timestamp") ?? "";
    if (!/^[0-9]{1,12}$/.test(stamp) || Math.abs(Date.now() / 1000 - Number(stamp)) > toleranceSeconds) {
      throw new SignatureInvalid("webhook-timestamp is missing or differs too much from this machine's clock");
    }
    const signed = join(bytesOf(`${get("webhook-id") ?? ""}.${stamp}.`), raw);
    valid = await isSigned(signed, standardKey(secret), standardSignatures(standard));
  } else if (relay !== undefined) {
    valid = await isSigned(raw, bytesOf(secret), /^[0-9a-f]{64}$/.test(relay) ? [fromHex(relay)] : []);
  } else {
    throw new SignatureInvalid("the webhook has no signature");
  }
  if (!valid) throw new SignatureInvalid("the webhook is not signed with this secret");
  return JSON.parse(new TextDecoder().decode(raw)) as WebhookEvent;
}

/** Return whether one of the signatures is valid. WebCrypto compares in constant time. */
async function isSigned(data: Bytes, secret: Bytes, signatures: Bytes[]): Promise<boolean> {
  const { subtle } = await webCrypto();
  const key = await subtle.importKey("raw", secret, HMAC, false, ["verify"]);
  const results = await Promise.all(signatures.map((signature) => subtle.verify("HMAC", key, signature, data)));
  return results.includes(true);
}

/** Return the signatures of version 1 in the header: `v1,` and base64, separated by spaces. */
function standardSignatures(header: string): Bytes[] {
  const parts = header.split(" ", MAX_SIGNATURES).filter((part) => /^v1,[A-Za-z0-9+/]{43}=$/.test(part));
  return parts.map((part) => fromBase64(part.slice(3)));
}

/** Return the Standard Webhooks key: the decoded text after `whsec_`, else the secret's bytes. */
function standardKey(secret: string): Bytes {
  if (!secret.startsWith("whsec_")) return bytesOf(secret);
  try {
    return fromBase64(secret.slice(6));
  } catch {
    throw new SignatureInvalid("the secret must be base64 after whsec_");
  }
}

function reader(headers: WebhookHeaders): (name: string) => string | undefined {
  if (typeof headers.get === "function") return (name) => (headers as Headers).get(name) ?? undefined;
  const found = new Map(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]));
  return (name) => {
    const value = found.get(name);
    return Array.isArray(value) ? value[0] : value;
  };
}

type Bytes = Uint8Array<ArrayBuffer>;

function bytesOf(data: string | Uint8Array | ArrayBuffer): Bytes {
  return typeof data === "string" ? new TextEncoder().encode(data) : new Uint8Array(data);
}

function join(first: Bytes, second: Bytes): Bytes {
  const joined = new Uint8Array(first.length + second.length);
  joined.set(first);
  joined.set(second, first.length);
  return joined;
}

function fromHex(text: string): Bytes {
  return Uint8Array.from(text.match(/../g) ?? [], (byte) => Number.parseInt(byte, 16));
}

function fromBase64(text: string): Bytes {
  return Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
}
