package org.webrtc;

public class MediaConstraints {}
