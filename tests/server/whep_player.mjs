// A WHEP player that has never heard of us: plain video in a <video>, every picture that it shows.

export async function run({ url, frames, patience }) {
  const peer = new RTCPeerConnection();
  const video = document.createElement('video');
  video.muted = true;
  document.body.append(video);
  const shown = [];
  const enough = new Promise((resolve) => {
    const canvas = document.createElement('canvas');
    const context = canvas.getContext('2d', { willReadFrequently: true });
    const look = (_, { width, height }) => {
      // Told of its first picture, an element may not have it yet, and drawImage draws nothing.
      if (video.readyState < HTMLMediaElement.HAVE_CURRENT_DATA) {
        video.requestVideoFrameCallback(look);
        return;
      }
      canvas.width = width;
      canvas.height = height;
      context.drawImage(video, 0, 0);
      const { data } = context.getImageData(0, 0, width, height);
      const luma = [];
      for (let at = 0; at < data.length; at += 4) {
        luma.push(Math.round(0.299 * data[at] + 0.587 * data[at + 1] + 0.114 * data[at + 2]));
      }
      shown.push({ width, height, luma });
      if (shown.length >= frames) resolve();
      else video.requestVideoFrameCallback(look);
    };
    video.requestVideoFrameCallback(look);
  });
  peer.ontrack = ({ streams, track }) => {
    video.srcObject = streams[0] ?? new MediaStream([track]);
    video.play();
  };
  peer.addTransceiver('video', { direction: 'recvonly' });
  await peer.setLocalDescription(await peer.createOffer());
  await new Promise((resolve) => {
    if (peer.iceGatheringState === 'complete') resolve();
    peer.onicegatheringstatechange = () => peer.iceGatheringState === 'complete' && resolve();
  });
  const headers = { 'Content-Type': 'application/sdp' };
  const body = peer.localDescription.sdp;
  const reply = await fetch(url, { method: 'POST', headers, body });
  if (reply.status !== 201) throw new Error(`status ${reply.status}: ${await reply.text()}`);
  await peer.setRemoteDescription({ type: 'answer', sdp: await reply.text() });
  await Promise.race([enough, new Promise((resolve) => setTimeout(resolve, patience))]);
  const stats = [...(await peer.getStats()).values()];
  const { codecId, decoderImplementation, framesDecoded, keyFramesDecoded, packetsLost } =
    stats.find(({ type }) => type === 'inbound-rtp') ?? {};
  const codec = stats.find(({ id }) => id === codecId)?.mimeType;
  peer.close();
  return { codec, decoderImplementation, framesDecoded, keyFramesDecoded, packetsLost, shown };
}
