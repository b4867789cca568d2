// Drives whip-whep, the WHEP player of the draft's own author, as its README does; nothing of ours.
import { WHEPClient } from '/stock/whep.js';

export async function run({ url, token, frames, patience }) {
  const peer = new RTCPeerConnection();
  peer.addTransceiver('video', { direction: 'recvonly' });
  peer.addTransceiver('audio', { direction: 'recvonly' });
  const video = document.createElement('video');
  video.muted = true;
  document.body.append(video);
  let shown = 0;
  const enough = new Promise((resolve) => {
    const look = () => {
      shown += 1;
      if (shown >= frames) resolve();
      else video.requestVideoFrameCallback(look);
    };
    video.requestVideoFrameCallback(look);
  });
  peer.ontrack = ({ track }) => {
    if (track.kind !== 'video') return;
    video.srcObject = new MediaStream([track]);
    video.play();
  };
  const failures = [];
  addEventListener('unhandledrejection', ({ reason }) => failures.push(String(reason)));
  const statuses = [];
  const real = window.fetch;
  window.fetch = async (resource, options) => {
    const reply = await real(resource, options);
    statuses.push([options.method, reply.status]);
    return reply;
  };
  const player = new WHEPClient();
  await player.view(peer, url, token);
  await Promise.race([enough, new Promise((resolve) => setTimeout(resolve, patience))]);
  const { width, height } = { width: video.videoWidth, height: video.videoHeight };
  const { iceServers } = peer.getConfiguration();
  const state = peer.connectionState;
  await player.stop();
  return { shown, state, width, height, iceServers, statuses, failures };
}
