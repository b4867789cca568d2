package org.webrtc;

public enum VideoCodecStatus { NO_OUTPUT, OK, ERROR }
