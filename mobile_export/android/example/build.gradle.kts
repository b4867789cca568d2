plugins {
    id("com.android.application")
    id("org.jetbrains.kotlin.android")
}

android {
    namespace = "org.crispcast.example"
    compileSdk = 35

    defaultConfig {
        applicationId = "org.crispcast.example"
        minSdk = 26
        targetSdk = 35
        versionCode = 1
        versionName = "1.0"
    }

    buildTypes {
        release {
            isMinifyEnabled = true
            proguardFiles(getDefaultProguardFile("proguard-android-optimize.txt"))
        }
    }

    compileOptions {
        sourceCompatibility = JavaVersion.VERSION_11
        targetCompatibility = JavaVersion.VERSION_11
    }

    kotlinOptions {
        jvmTarget = "11"
    }
}

dependencies {
    implementation(project(":crispcast"))
    implementation("io.github.webrtc-sdk:android:125.6422.07")
    implementation("com.microsoft.onnxruntime:onnxruntime-android:1.20.0") // for NNAPI; or leave it out
}
