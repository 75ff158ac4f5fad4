import type {
  IDataObject,
  IHookFunctions,
  INodeType,
  INodeTypeDescription,
  IWebhookFunctions,
  IWebhookResponseData,
} from "n8n-workflow";
import { NodeApiError, NodeConnectionTypes } from "n8n-workflow";
import { SignatureInvalid } from "../client/errors";
import { verifyWebhook } from "../client/webhooks";
import { EVENTS } from "../generated/fields";
import { send } from "./api";

/** Trigger that registers a webhook endpoint while its workflow is active, and verifies what it receives. */
export class ClipengineTrigger implements INodeType {
  description: INodeTypeDescription = {
    displayName: "clipengine Trigger",
    name: "clipengineTrigger",
    icon: "file:clipengine.svg",
    group: ["trigger"],
    version: 1,
    subtitle: '={{$parameter["events"].join(", ")}}',
    description: "Starts the workflow when a clip or a recording has ended",
    defaults: { name: "clipengine Trigger" },
    inputs: [],
    outputs: [NodeConnectionTypes.Main],
    credentials: [{ name: "clipengineApi", required: true }],
    webhooks: [{ name: "default", httpMethod: "POST", responseMode: "onReceived", path: "webhook", rawBody: true }],
    properties: [
      {
        displayName: "Events",
        name: "events",
        type: "multiOptions",
        options: EVENTS,
        default: ["clip.ready", "clip.failed"],
        required: true,
        description: "The key of the credentials needs the scope admin",
      },
    ],
  };

  webhookMethods = {
    default: {
      async checkExists(this: IHookFunctions): Promise<boolean> {
        const stored = this.getWorkflowStaticData("node");
        if (!stored.webhookId) return false;
        const webhook = await found.call(this, String(stored.webhookId));
        if (
          webhook?.url === this.getNodeWebhookUrl("default") &&
          same(webhook?.events, this.getNodeParameter("events"))
        )
          return true;
        await remove.call(this);
        return false;
      },

      async create(this: IHookFunctions): Promise<boolean> {
        const body = { url: this.getNodeWebhookUrl("default"), events: this.getNodeParameter("events") as string[] };
        const webhook = await send.call(this, { method: "POST", path: "/v1/webhooks", body });
        const stored = this.getWorkflowStaticData("node");
        stored.webhookId = webhook.webhook_id;
        stored.secret = webhook.secret;
        return true;
      },

      async delete(this: IHookFunctions): Promise<boolean> {
        await remove.call(this);
        return true;
      },
    },
  };

  async webhook(this: IWebhookFunctions): Promise<IWebhookResponseData> {
    const secret = this.getWorkflowStaticData("node").secret;
    const body: Buffer | undefined = this.getRequestObject().rawBody;
    try {
      if (!secret || !body) throw new SignatureInvalid("the endpoint is not registered, or the body is missing");
      const event = await verifyWebhook(body, this.getHeaderData(), String(secret));
      return { workflowData: [this.helpers.returnJsonArray(event as unknown as IDataObject)] };
    } catch (error) {
      if (!(error instanceof SignatureInvalid)) throw error;
      this.getResponseObject().status(401).send(error.message);
      return { noWebhookResponse: true };
    }
  }
}

/** Return the endpoint, or null if it was deleted. */
async function found(this: IHookFunctions, id: string): Promise<IDataObject | null> {
  return ignoringMissing(send.call(this, { method: "GET", path: `/v1/webhooks/${id}` }));
}

/** Delete the endpoint, if there is one, and forget its secret. */
async function remove(this: IHookFunctions): Promise<void> {
  const stored = this.getWorkflowStaticData("node");
  if (stored.webhookId)
    await ignoringMissing(send.call(this, { method: "DELETE", path: `/v1/webhooks/${stored.webhookId}` }));
  delete stored.webhookId;
  delete stored.secret;
}

async function ignoringMissing(call: Promise<IDataObject>): Promise<IDataObject | null> {
  try {
    return await call;
  } catch (error) {
    if (error instanceof NodeApiError && error.httpCode === "404") return null;
    throw error;
  }
}

function same(first: unknown, second: unknown): boolean {
  return JSON.stringify([...(first as string[])].sort()) === JSON.stringify([...(second as string[])].sort());
}
