import { createHash } from "node:crypto";
import type {
  IDataObject,
  IExecuteFunctions,
  INodeExecutionData,
  INodeType,
  INodeTypeDescription,
  JsonObject,
} from "n8n-workflow";
import { NodeApiError, NodeConnectionTypes, NodeOperationError } from "n8n-workflow";
import { OPERATIONS, PROPERTIES } from "../generated/fields";
import { send, sendAll, waitUntilEnded } from "./api";
import { requestOf, type ApiRequest } from "./operation";

/** Node for recordings and clips. */
export class Clipengine implements INodeType {
  description: INodeTypeDescription = {
    displayName: "clipengine",
    name: "clipengine",
    icon: "file:clipengine.svg",
    group: ["transform"],
    version: 1,
    subtitle: '={{$parameter["operation"] + ": " + $parameter["resource"]}}',
    description: "Cut exact clips from recordings",
    defaults: { name: "clipengine" },
    inputs: [NodeConnectionTypes.Main],
    outputs: [NodeConnectionTypes.Main],
    usableAsTool: true,
    credentials: [{ name: "clipengineApi", required: true }],
    properties: PROPERTIES,
  };

  async execute(this: IExecuteFunctions): Promise<INodeExecutionData[][]> {
    const results: INodeExecutionData[] = [];
    for (const item of this.getInputData().keys()) {
      try {
        for (const json of await run.call(this, item)) results.push({ json, pairedItem: { item } });
      } catch (error) {
        if (!this.continueOnFail()) throw located.call(this, error, item);
        results.push({ json: { error: (error as Error).message }, pairedItem: { item } });
      }
    }
    return [results];
  }
}

async function run(this: IExecuteFunctions, item: number): Promise<IDataObject[]> {
  const resource = this.getNodeParameter("resource", item) as string;
  const operation = OPERATIONS[resource]?.[this.getNodeParameter("operation", item) as string];
  if (!operation) throw new Error("this operation does not exist");
  const request = requestOf.call(this, operation, item);
  if (operation.lists) {
    const all = this.getNodeParameter("returnAll", item) as boolean;
    return sendAll.call(this, request, all ? Infinity : (this.getNodeParameter("limit", item) as number));
  }
  if (request.method === "POST") request.headers = { "Idempotency-Key": idempotencyKey.call(this, request, item) };
  const found = await send.call(this, request);
  if (!operation.ends || !this.getNodeParameter("wait", item)) return [found];
  return [await waitUntilEnded.call(this, found, this.getNodeParameter("timeout", item) as number, item)];
}

/** Return the same key when n8n retries this node in this execution, so that the request takes effect once. */
function idempotencyKey(this: IExecuteFunctions, { path, body }: ApiRequest, item: number): string {
  const run = this.getWorkflowDataProxy(item).$runIndex;
  const parts = [this.getExecutionId(), this.getNode().id, run, item, path, body];
  return createHash("sha256").update(JSON.stringify(parts)).digest("hex");
}

function located(this: IExecuteFunctions, error: unknown, item: number): Error {
  if (error instanceof NodeOperationError) return error;
  if (error instanceof NodeApiError) {
    error.context.itemIndex = item;
    return error;
  }
  if (error instanceof Error && "code" in error)
    return new NodeApiError(this.getNode(), error as unknown as JsonObject, { itemIndex: item });
  return new NodeOperationError(this.getNode(), error as Error, { itemIndex: item });
}
