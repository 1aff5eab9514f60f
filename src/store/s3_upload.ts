/**
 * Objects that are written in parts: nobody sees one before it is complete.
 *
 * @module
 */

import type { S3Client, Tag } from "./s3_client.ts";
import { element } from "./s3_client.ts";

/** Bytes that a part has at least, unless it is the last. */
export const LEAST_PART_BYTES = 5 * 2 ** 20;

/** An object whose parts are under way. */
export class S3Upload {
  readonly #client: S3Client;
  readonly #name: string;
  readonly #id: string;
  readonly #parts: Tag[] = [];

  private constructor(client: S3Client, name: string, id: string) {
    this.#client = client;
    this.#name = name;
    this.#id = id;
  }

  static async begin(client: S3Client, name: string): Promise<S3Upload> {
    const text = await client.words("POST", name, { action: "write", query: { uploads: "" } });
    const id = element(text, "UploadId");
    if (!id) throw client.broken("write", name, "no UploadId");
    return new S3Upload(client, name, id);
  }

  /** Adds bytes. */
  async add(body: Uint8Array): Promise<void> {
    const tag = await this.#client.write(this.#name, body, { query: this.#nextPart() });
    this.#parts.push(tag!);
  }

  /** Adds another object, which need not come here. */
  async addCopy(from: string): Promise<void> {
    const text = await this.#client.words("PUT", this.#name, {
      action: "write",
      query: this.#nextPart(),
      headers: this.#client.source(from),
    });
    const etag = element(text, "ETag");
    if (!etag) throw this.#client.broken("write", this.#name, "no ETag of a part");
    this.#parts.push({ etag: etag.replaceAll(/&(?:quot|#34);/g, '"') });
  }

  /** Puts all parts in place of what the object was. */
  async complete(): Promise<void> {
    const parts = this.#parts.map(({ etag }, i) =>
      `<Part><PartNumber>${i + 1}</PartNumber><ETag>${etag}</ETag></Part>`
    );
    const words = `<CompleteMultipartUpload>${parts.join("")}</CompleteMultipartUpload>`;
    await this.#client.words("POST", this.#name, {
      action: "write",
      query: { uploadId: this.#id },
      body: new TextEncoder().encode(words),
    });
  }

  /** Gives it up. */
  async abandon(): Promise<void> {
    const query = { uploadId: this.#id };
    await this.#client.words("DELETE", this.#name, { action: "delete", query }, [200, 204, 404]);
  }

  /** Parts count from 1. */
  #nextPart(): Record<string, string> {
    return { partNumber: `${this.#parts.length + 1}`, uploadId: this.#id };
  }
}
