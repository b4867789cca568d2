// To whom the player speaks of a session: node whep.mjs CODE STATUS LOCATION [ORIGIN...]
//
// The server at https://a.example sends the play on to https://c.example, which answers with STATUS
// and LOCATION; ORIGIN: who else may see a token. The play is ended, or its counter-offer answered.
// Prints a JSON list: what was asked, as [method, address, redirect mode], with what was thrown last.

const [, , code, status, location, ...origins] = process.argv;
const { answerOffer, connect, leave } = await import(`${code}player/whep.js`);

const description = { sdp: 'v=0' };
const peer = {
  iceGatheringState: 'complete',
  localDescription: description,
  createOffer: async () => description,
  createAnswer: async () => description,
  setLocalDescription: async () => {},
  setRemoteDescription: async () => {},
  addEventListener: () => {},
};
const asked = [];
globalThis.fetch = async (url, { method, redirect }) => {
  asked.push([method, url, redirect ?? 'follow']);
  const headers = new Headers({ 'Content-Type': 'application/sdp', Location: location });
  const there = 'https://c.example/whep/x';
  return { status: Number(status), ok: true, redirected: true, url: there, headers, text: async () => 'v=0' };
};

try {
  const { session, offer } = await connect(peer, 'https://a.example/whep/x', undefined, origins);
  if (offer) await answerOffer(peer, session);
  leave(session);
} catch (error) {
  asked.push(error.message);
}
process.stdout.write(JSON.stringify(asked), () => process.exit(0));
