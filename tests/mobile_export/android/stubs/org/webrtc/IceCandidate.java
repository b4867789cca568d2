package org.webrtc;

public class IceCandidate {}
