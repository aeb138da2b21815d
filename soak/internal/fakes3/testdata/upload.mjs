// Uploads every file below SRC in every way that the JavaScript SDK has. Whoever runs it looks at what has arrived.
import { createReadStream, readdirSync, readFileSync, statSync } from "node:fs";
import { join, relative } from "node:path";
import { HeadObjectCommand, PutObjectCommand, S3Client } from "@aws-sdk/client-s3";
import { Upload } from "@aws-sdk/lib-storage";

const { SRC, ENDPOINT, PREFIX } = process.env;
const Bucket = "bucket";
const client = new S3Client({
  endpoint: ENDPOINT, region: "us-east-1", forcePathStyle: true, maxAttempts: 1,
  credentials: { accessKeyId: "id", secretAccessKey: "secret" },
});

for (const entry of readdirSync(SRC, { recursive: true, withFileTypes: true })) {
  if (!entry.isFile()) continue;
  const path = join(entry.parentPath ?? entry.path, entry.name);
  const key = (way) => `${PREFIX}/${way}/${relative(SRC, path)}`;
  const body = readFileSync(path);
  const size = statSync(path).size;
  await client.send(new PutObjectCommand({ Bucket, Key: key("put"), Body: body }));
  await client.send(new PutObjectCommand({ Bucket, Key: key("stream"), Body: createReadStream(path), ContentLength: size }));
  await client.send(new PutObjectCommand({ Bucket, Key: key("sha256"), Body: body, ChecksumAlgorithm: "SHA256" }));
  await client.send(new PutObjectCommand({ Bucket, Key: key("crc32c"), Body: body, ChecksumAlgorithm: "CRC32C" }));
  await new Upload({ client, params: { Bucket, Key: key("upload"), Body: createReadStream(path) }, partSize: 5 << 20 }).done();
  const head = await client.send(new HeadObjectCommand({ Bucket, Key: key("upload") }));
  if (head.ContentLength !== size) throw new Error(`${key("upload")}: ${head.ContentLength} bytes, not ${size}`);
}
try {
  await client.send(new PutObjectCommand({ Bucket, Key: "refused", Body: "x", ContentMD5: "AAAAAAAAAAAAAAAAAAAAAA==" }));
  console.log("a wrong Content-MD5 was taken");
} catch (e) {
  console.log("refused:", e.name);
}
