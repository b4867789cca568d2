package org.crispcast.example

import android.app.Activity
import android.os.Bundle
import android.util.Log
import org.crispcast.CrispcastException
import org.crispcast.CrispcastSession
import org.crispcast.SessionListener
import org.crispcast.SessionOptions
import org.crispcast.SessionState
import org.webrtc.EglBase
import org.webrtc.SurfaceViewRenderer

/** Shows one stream, for as long as it is there. */
class PlayerActivity : Activity(), SessionListener {
    private val egl = EglBase.create()
    private lateinit var renderer: SurfaceViewRenderer
    private lateinit var session: CrispcastSession

    override fun onCreate(state: Bundle?) {
        super.onCreate(state)
        renderer = SurfaceViewRenderer(this)
        renderer.init(egl.eglBaseContext, null)
        setContentView(renderer)
        val url = "http://10.0.2.2:8080/whep/holiday" // your server, as the emulator sees it
        session = CrispcastSession(this, url, renderer, this, SessionOptions())
        session.start()
    }

    override fun onState(state: SessionState, sentence: String) {
        Log.i("crispcast", "$state $sentence")
    }

    override fun onWarning(warning: CrispcastException) {
        Log.w("crispcast", warning.message ?: "")
    }

    override fun onDestroy() {
        session.close()
        renderer.release()
        egl.release()
        super.onDestroy()
    }
}
