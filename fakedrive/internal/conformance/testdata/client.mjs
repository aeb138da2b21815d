// What Google's Node client does with a Drive, as a program: node client.mjs SCENARIO. It believes to talk to Google: the
// proxy and the authority come from the environment. It prints one JSON object and fails loudly.
import { createHash, randomBytes } from 'node:crypto';
import { Readable } from 'node:stream';
import { drive as driveApi, auth as driveAuth } from '@googleapis/drive';

function refreshing() {
  const client = new driveAuth.OAuth2('id', 'secret');
  client.setCredentials({ refresh_token: process.env.REFRESH_TOKEN ?? 'refresh' });
  return client;
}

const serviceAccount = () => new driveAuth.GoogleAuth({ keyFile: process.env.KEY_FILE, scopes: ['https://www.googleapis.com/auth/drive'] });

async function all(drive, q, fields = 'id,name,mimeType,size,md5Checksum') {
  const files = [];
  let pageToken, pages = 0;
  do {
    const r = await drive.files.list({ q, pageSize: 50, pageToken, fields: `nextPageToken,files(${fields})` });
    files.push(...r.data.files);
    pageToken = r.data.nextPageToken;
    pages++;
  } while (pageToken);
  return { files, pages };
}

async function md5Of(stream) {
  const h = createHash('md5');
  let n = 0;
  for await (const chunk of stream) { h.update(chunk); n += chunk.length; }
  return { md5: h.digest('hex'), n };
}

async function read(auth) {
  const drive = driveApi({ version: 'v3', auth });
  const about = (await drive.about.get({ fields: 'user,storageQuota' })).data;
  const { files, pages } = await all(drive, 'trashed=false');
  let streamed = 0, largest;
  for (const f of files) {
    if (!f.md5Checksum) continue;
    if (!largest || Number(f.size) > Number(largest.size)) largest = f;
    if (streamed >= 40) continue;
    const r = await drive.files.get({ fileId: f.id, alt: 'media' }, { responseType: 'stream' });
    const got = await md5Of(r.data);
    if (got.md5 !== f.md5Checksum || String(got.n) !== f.size) throw new Error(`${f.name}: ${got.n} bytes, md5 ${got.md5}`);
    streamed++;
  }
  const range = await drive.files.get({ fileId: largest.id, alt: 'media' }, { responseType: 'stream', headers: { Range: 'bytes=100-299' } });
  const part = await md5Of(range.data);
  const doc = files.find((f) => f.mimeType === 'application/vnd.google-apps.document');
  const exported = await drive.files.export({ fileId: doc.id, mimeType: 'application/pdf' }, { responseType: 'stream' });
  const pdf = await md5Of(exported.data);
  let refused;
  try {
    await drive.files.get({ fileId: 'no-such-file' });
  } catch (e) {
    refused = { status: e.status ?? e.code, reason: e.errors?.[0]?.reason ?? e.response?.data?.error?.errors?.[0]?.reason };
  }
  return { email: about.user.emailAddress, files: files.length, pages, streamed, rangeStatus: range.status, rangeBytes: part.n, exportBytes: pdf.n, refused };
}

// A resumable upload whose connection breaks: the client asks how far it is and goes on.
async function upload(auth) {
  const drive = driveApi({ version: 'v3', auth });
  const multipart = await drive.files.create({
    requestBody: { name: 'multipart.bin' }, media: { mimeType: 'application/octet-stream', body: Readable.from(Buffer.alloc(70000, 7)) },
    fields: 'id,size,md5Checksum',
  });
  const content = randomBytes(5 * 262144 + 12345);
  const session = await auth.request({
    url: 'https://www.googleapis.com/upload/drive/v3/files?uploadType=resumable&fields=id,name,size,md5Checksum', method: 'POST',
    data: { name: 'resumable.bin' }, headers: { 'X-Upload-Content-Type': 'application/octet-stream', 'X-Upload-Content-Length': String(content.length) },
  });
  const location = session.headers.get ? session.headers.get('location') : session.headers.location;
  const put = (headers, data) => auth.request({ url: location, method: 'PUT', headers, data, retry: false, maxRedirects: 0, redirect: 'manual', validateStatus: (s) => s < 500 });
  let at = 0, breaks = 0, file;
  while (!file) {
    const end = Math.min(at + 2 * 262144, content.length);
    try {
      const r = await put({ 'Content-Range': `bytes ${at}-${end - 1}/${content.length}` }, content.subarray(at, end));
      if (r.status === 308) at = end; else if (r.status < 300) file = r.data; else throw new Error(`status ${r.status}: ${JSON.stringify(r.data)}`);
    } catch (e) {
      if (++breaks > 20) throw e;
      const r = await put({ 'Content-Range': `bytes */${content.length}` });
      if (r.status !== 308) { file = r.data; break; }
      const range = r.headers.get ? r.headers.get('range') : r.headers.range;
      at = range ? Number(range.split('-')[1]) + 1 : 0;
    }
  }
  const want = createHash('md5').update(content).digest('hex');
  if (file.md5Checksum !== want || file.size !== String(content.length)) throw new Error(`stored ${JSON.stringify(file)}, want ${want}`);
  const copy = await drive.files.copy({ fileId: file.id, requestBody: { name: 'copy.bin' }, fields: 'md5Checksum' });
  await drive.files.update({ fileId: file.id, requestBody: { trashed: true } });
  await drive.files.delete({ fileId: file.id });
  return { breaks, multipart: multipart.data, copied: copy.data.md5Checksum === want };
}

const scenarios = {
  refresh: () => read(refreshing()),
  'service-account': () => read(serviceAccount()),
  upload: () => upload(refreshing()),
};
const scenario = scenarios[process.argv[2]];
if (!scenario) throw new Error(`no scenario ${process.argv[2]}`);
console.log(JSON.stringify(await scenario()));
