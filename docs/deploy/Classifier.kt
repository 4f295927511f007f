package com.example.classifier

import android.content.Context
import android.graphics.Bitmap
import com.google.ai.edge.litert.Accelerator
import com.google.ai.edge.litert.CompiledModel
import com.google.ai.edge.litert.TensorBuffer
import kotlin.math.exp
import kotlin.math.roundToInt
import org.json.JSONObject

/** Classifies images by the assets model.tflite and model.json. */
class Classifier(context: Context, threads: Int = 1) : AutoCloseable {
    private val description =
        JSONObject(context.assets.open("model.json").bufferedReader().use { it.readText() })
    private val input = Tensor(description.getJSONObject("input"))
    private val output = Tensor(description.getJSONObject("output"))
    private val range = description.getJSONObject("input").getJSONArray("range")
    private val labels =
        description.getJSONArray("labels").let { names -> List(names.length(), names::getString) }

    private val options =
        CompiledModel.Options(Accelerator.CPU).apply {
            cpuOptions = CompiledModel.CpuOptions(numThreads = threads)
        }
    private val model = CompiledModel.create(context.assets, "model.tflite", options)
    private val inputs = model.createInputBuffers()
    private val outputs = model.createOutputBuffers()

    /** All labels with their probabilities, the likeliest first. */
    fun classify(image: Bitmap): List<Pair<String, Float>> {
        input.write(inputs[0], values(image))
        model.run(inputs, outputs)
        return labels.zip(probabilities(output.read(outputs[0]))).sortedByDescending { it.second }
    }

    /** Median latency in milliseconds, of the image that was classified last. */
    fun latencyMs(warmUp: Int = 5, runs: Int = 50): Double {
        val times =
            List(warmUp + runs) {
                val start = System.nanoTime()
                model.run(inputs, outputs)
                System.nanoTime() - start
            }
        return times.drop(warmUp).sorted()[runs / 2] / 1e6
    }

    override fun close() {
        (inputs + outputs).forEach { it.close() }
        model.close()
    }

    /** The pixels of an image as the model's numbers, row by row, channels last. */
    private fun values(image: Bitmap): FloatArray {
        val (_, height, width, channels) = input.shape
        val colors = IntArray(width * height)
        Bitmap.createScaledBitmap(image, width, height, true)
            .getPixels(colors, 0, width, 0, 0, width, height)
        val low = range.getDouble(0).toFloat()
        val high = range.getDouble(1).toFloat()
        return FloatArray(colors.size * channels) { index ->
            val color = colors[index / channels]
            val pixel = if (channels == 1) gray(color) else channel(color, index % channels)
            low + pixel / 255f * (high - low)
        }
    }

    private fun channel(color: Int, index: Int) = color shr (16 - 8 * index) and 0xFF

    private fun gray(color: Int) =
        (299 * channel(color, 0) + 587 * channel(color, 1) + 114 * channel(color, 2) + 500) / 1000

    /** Scores in [0, 1] are probabilities; others are logits, for a softmax. */
    private fun probabilities(scores: List<Float>): List<Float> {
        if (scores.all { it in 0f..1f }) return scores
        val largest = scores.maxOf { it }
        val powers = scores.map { exp(it - largest) }
        return powers.map { it / powers.sum() }
    }
}

/** What model.json says of an input or output; converts between floats and its steps. */
private class Tensor(description: JSONObject) {
    val shape = description.getJSONArray("shape").let { sizes -> List(sizes.length(), sizes::getInt) }
    private val dtype = description.getString("dtype")
    private val scale = description.optDouble("scale", 1.0).toFloat()
    private val zeroPoint = description.optInt("zero_point", 0)
    private val limits = if (dtype == "uint8") 0..255 else -128..127

    fun write(buffer: TensorBuffer, values: FloatArray) {
        if (dtype == "float32") return buffer.writeFloat(values)
        // The bytes of uint8 are those of int8: 200 is written as -56.
        buffer.writeInt8(ByteArray(values.size) { index -> step(values[index]).toByte() })
    }

    fun read(buffer: TensorBuffer): List<Float> {
        if (dtype == "float32") return buffer.readFloat().toList()
        return buffer.readInt8().map { byte ->
            val step = if (dtype == "uint8") byte.toInt() and 0xFF else byte.toInt()
            (step - zeroPoint) * scale
        }
    }

    private fun step(value: Float) =
        ((value / scale).roundToInt() + zeroPoint).coerceIn(limits.first, limits.last)
}
