// Crispcast as a library module: include it in settings.gradle.kts, and depend on it with
// implementation(project(":crispcast")).
plugins {
    id("com.android.library")
}

android {
    namespace = "org.crispcast"
    compileSdk = 35
    ndkVersion = "27.2.12479018"

    defaultConfig {
        minSdk = 26
        consumerProguardFiles("consumer-rules.pro")
        externalNativeBuild {
            cmake {
                arguments += listOf("-DANDROID_STL=c++_static")
            }
        }
        ndk {
            abiFilters += listOf("arm64-v8a", "armeabi-v7a", "x86_64")
        }
    }

    externalNativeBuild {
        cmake {
            path = file("src/main/cpp/CMakeLists.txt")
            version = "3.22.1"
        }
    }

    compileOptions {
        sourceCompatibility = JavaVersion.VERSION_11
        targetCompatibility = JavaVersion.VERSION_11
    }
}

dependencies {
    // The app brings WebRTC, any build of org.webrtc; and ONNX Runtime 1.17 or later where NNAPI is
    // to be tried.
    compileOnly("io.github.webrtc-sdk:android:125.6422.07")
    compileOnly("com.microsoft.onnxruntime:onnxruntime-android:1.20.0")
    testImplementation("junit:junit:4.13.2")
    testImplementation("io.github.webrtc-sdk:android:125.6422.07")
}
