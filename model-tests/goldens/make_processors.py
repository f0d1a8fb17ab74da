"""Makes the goldens of the preprocessing of pictures and sounds. No test needs it: what it makes is committed.

`cases.json` holds configurations with the files that they are given; `cases/*.safetensors` what transformers makes of
them: `default.*` with the class that AutoImageProcessor or AutoFeatureExtractor takes, `pillow.*` with the Pillow
classes, `numpy.*` without torch. The other files hold the steps alone: resizing by torchvision, mel filters, and
resampling by soxr. Where CLAP's extractor draws at random, it is made to take the (earlier) middle.

Needs the Python packages torch 2.15.0, torchvision 0.29.2, pillow 13.0.0, transformers 5.23.0, safetensors 0.8.0,
soundfile 0.14.0 and soxr 1.1.0, on a CPU with AVX2:
    python3 model-tests/goldens/make_processors.py
"""

import json
import shutil
import tempfile
from pathlib import Path

import numpy as np
import PIL.Image
import soundfile
import soxr
import torch
from safetensors.numpy import save_file
from torchvision.transforms import InterpolationMode
from torchvision.transforms.v2 import functional
from transformers import AutoFeatureExtractor, AutoImageProcessor
from transformers.audio_utils import load_audio, mel_filter_bank
from transformers.image_utils import load_image

HERE = Path(__file__).resolve().parent / "processors"


def picture(seed, height, width, noise):
    """Waves in three colours under noise, so that filters overshoot and round."""
    generator = np.random.default_rng(seed)
    rows, columns, colours = np.ogrid[0:height, 0:width, 0:3]
    waves = 127 + 90 * np.sin(rows / (3 + colours) + seed) * np.cos(columns / (5 - colours))
    return np.clip(waves + noise * generator.standard_normal(waves.shape), 0, 255).astype(np.uint8)


def sound(seed, count, rate):
    """A glide, a hum and a little noise."""
    generator = np.random.default_rng(seed)
    time = np.arange(count) / rate
    glide = 0.4 * np.sin(2 * np.pi * (200 + 900 * time) * time) * np.exp(-((time * 2 - 0.7) ** 2))
    return glide + 0.1 * np.sin(2 * np.pi * 60 * time) + 0.01 * generator.standard_normal(count)


def write_pictures():
    for name, (seed, height, width, noise) in {
        "wide": (1, 31, 53, 12), "tall": (2, 57, 34, 12), "other": (3, 31, 53, 60), "tiny": (4, 9, 7, 12),
    }.items():
        PIL.Image.fromarray(picture(seed, height, width, noise)).save(HERE / "files" / f"{name}.png")
    # Every way of storing a picture, and an upright one that lies in its file.
    small = PIL.Image.fromarray(picture(5, 12, 10, 5))
    alpha = small.convert("RGBA")
    alpha.putalpha(PIL.Image.fromarray(picture(6, 12, 10, 5)[..., 0]))
    files = {
        "grey.png": small.convert("L"), "grey-alpha.png": alpha.convert("LA"), "alpha.png": alpha,
        "palette.png": small.quantize(16), "plain.bmp": small,
    }
    for name, image in files.items():
        image.save(HERE / "files" / name)
    small.save(HERE / "files" / "plain.webp", lossless=True)
    smooth = PIL.Image.fromarray(picture(7, 24, 16, 0))
    smooth.save(HERE / "files" / "plain.jpg", quality=95)
    exif = PIL.Image.Exif()
    exif[0x0112] = 6
    smooth.save(HERE / "files" / "turned.jpg", quality=95, exif=exif)
    names = [*files, "plain.webp", "plain.jpg", "turned.jpg"]
    save_file({n: np.ascontiguousarray(load_image(str(HERE / "files" / n))) for n in names}, HERE / "decoded.safetensors")


def write_sounds():
    files = HERE / "files"
    soundfile.write(files / "short.wav", sound(1, 3601, 8000), 8000, "PCM_16")
    stereo = np.stack([sound(2, 11_203, 8000), sound(3, 11_203, 8000)], axis=1)
    soundfile.write(files / "stereo.wav", stereo, 8000, "PCM_16")
    soundfile.write(files / "short.flac", sound(1, 3601, 8000), 8000, "PCM_16")
    soundfile.write(files / "float.wav", sound(4, 1500, 8000), 8000, "FLOAT")
    soundfile.write(files / "deep.wav", sound(4, 4001, 16_000), 16_000, "PCM_24")
    soundfile.write(files / "short.mp3", sound(1, 3601, 16_000), 16_000, "MPEG_LAYER_III", format="MP3")
    names = ["short.flac", "float.wav", "deep.wav", "short.mp3"]
    heard = {n: load_audio(str(files / n), soundfile.info(files / n).samplerate, backend="soundfile") for n in names}
    save_file(heard, HERE / "heard.safetensors")


def write_steps():
    source = picture(8, 23, 37, 40)
    tensors = {"source": source}
    modes = {
        "nearest": InterpolationMode.NEAREST_EXACT, "lanczos": InterpolationMode.LANCZOS,
        "linear": InterpolationMode.BILINEAR, "cubic": InterpolationMode.BICUBIC,
    }
    image = torch.from_numpy(source).permute(2, 0, 1).contiguous()
    for name, mode in modes.items():
        for size in [(11, 13), (40, 55), (9, 60), (37, 20)]:
            resized = functional.resize(image, list(size), mode, antialias=True).permute(1, 2, 0)
            tensors[f"{name}.{size[0]}x{size[1]}"] = resized.contiguous().numpy()
    save_file(tensors, HERE / "resize.safetensors")

    def bank(bins, count, low, high, rate, scale, step=1):
        norm = "slaney" if scale == "slaney" else None
        filters = mel_filter_bank(bins, count, low, high, rate, norm=norm, mel_scale=scale)
        return np.ascontiguousarray(filters[::step]).astype(np.float32)

    banks = {
        "whisper80": bank(201, 80, 0, 8000, 16_000, "slaney", 2), "whisper128": bank(201, 128, 0, 8000, 16_000, "slaney", 2),
        "clap.htk": bank(513, 64, 50, 14_000, 48_000, "htk", 8),
        "clap.slaney": bank(513, 64, 50, 14_000, 48_000, "slaney", 8),
        "odd": bank(101, 20, 0, 4000, 11_025, "htk"),
    }
    save_file(banks, HERE / "mel.safetensors")
    noise = (0.3 * np.random.default_rng(9).standard_normal(1200)).astype(np.float32)
    rates = {"source": noise}
    for old, new in [(8000, 16_000), (44_100, 16_000), (22_050, 48_000)]:
        count = -(-len(noise) * new // old)
        resampled = soxr.resample(noise, old, new, quality="soxr_hq")
        rates[f"{old}.{new}"] = np.pad(resampled, (0, max(0, count - len(resampled))))[:count]
    save_file(rates, HERE / "resample.safetensors")


CLIP = {"image_processor_type": "CLIPImageProcessor"}
WHISPER = {"feature_extractor_type": "WhisperFeatureExtractor"}
WAV2VEC2 = {"feature_extractor_type": "Wav2Vec2FeatureExtractor", "sampling_rate": 8000}
CLAP = {
    "feature_extractor_type": "ClapFeatureExtractor", "sampling_rate": 8000, "max_length_s": 1, "hop_length": 160,
    "fft_window_size": 256, "frequency_min": 50, "frequency_max": 4000,
}
BOTH = ["wide.png", "tall.png"]
SHORT, LONG = ["short.wav"], ["stereo.wav", "short.wav"]
CASES = {
    "vit": ({"feature_extractor_type": "ViTFeatureExtractor", "size": 24}, BOTH),
    "vit-cubic": ({
        "image_processor_type": "ViTImageProcessorFast", "size": {"height": 20, "width": 28}, "resample": 3,
        "image_mean": [0.1, 0.4, 0.9], "image_std": [0.2, 0.5, 1.5], "rescale_factor": 0.01,
    }, BOTH),
    "clip": ({**CLIP, "size": {"shortest_edge": 24}, "crop_size": {"height": 24, "width": 24}}, BOTH),
    "clip-old": ({"feature_extractor_type": "CLIPFeatureExtractor", "size": 22, "crop_size": 20}, BOTH),
    "clip-surrounded": ({**CLIP, "size": {"shortest_edge": 15}, "crop_size": {"height": 22, "width": 18}}, BOTH),
    "clip-levels": ({**CLIP, "do_resize": False, "do_rescale": False, "do_normalize": False, "crop_size": 13}, BOTH),
    "clip-rescaled": ({**CLIP, "do_resize": False, "do_normalize": False, "crop_size": 13}, BOTH),
    "clip-unscaled": ({**CLIP, "size": 13, "do_rescale": False, "crop_size": 13}, BOTH),
    "clip-padded": ({
        **CLIP, "size": {"max_height": 20, "max_width": 25}, "do_center_crop": False, "do_pad": True, "resample": 1,
    }, BOTH),
    "clip-pad-size": ({
        **CLIP, "size": {"shortest_edge": 12}, "do_center_crop": False, "do_pad": True, "resample": 0,
        "pad_size": {"height": 23, "width": 25},
    }, BOTH),
    "frames": ({
        "feature_extractor_type": "VideoMAEFeatureExtractor", "size": {"shortest_edge": 18},
        "crop_size": {"height": 16, "width": 16}, "image_mean": [0.485, 0.456, 0.406],
        "image_std": [0.229, 0.224, 0.225],
    }, ["wide.png", "other.png", "wide.png"]),
    "detr": ({"image_processor_type": "DetrImageProcessor", "size": {"shortest_edge": 24, "longest_edge": 36}}, BOTH),
    "detr-old": ({
        "feature_extractor_type": "DetrFeatureExtractor", "format": "coco_detection", "size": 20, "max_size": 27,
        "do_normalize": True,
    }, BOTH),
    "detr-pad-size": ({
        "image_processor_type": "DetrImageProcessor", "size": {"height": 21, "width": 26},
        "pad_size": {"height": 30, "width": 27},
    }, BOTH),
    "llava": ({"image_processor_type": "LlavaImageProcessor", "size": 20, "crop_size": 20, "do_pad": True}, BOTH),
    "llava-next": ({
        "image_processor_type": "LlavaNextImageProcessor", "size": {"shortest_edge": 16}, "crop_size": 16,
        "image_grid_pinpoints": [[32, 64], [48, 32], [16, 48]],
    }, BOTH),
    "llava-next-uneven": ({
        "image_processor_type": "LlavaNextImageProcessor", "size": {"shortest_edge": 14}, "resample": 2,
        "crop_size": {"height": 13, "width": 12}, "image_grid_pinpoints": [[20, 33], [33, 20]],
    }, ["tall.png"]),
    "larger": ({**CLIP, "size": {"shortest_edge": 20}, "crop_size": 20}, ["tiny.png"]),
    "whisper": ({
        **WHISPER, "sampling_rate": 8000, "chunk_length": 1, "feature_size": 20, "hop_length": 90, "n_fft": 200,
        "return_attention_mask": True,
    }, LONG),
    "whisper-published": (WHISPER, ["deep.wav"]),
    "wav2vec2": (WAV2VEC2, LONG),
    "wav2vec2-masked": ({**WAV2VEC2, "return_attention_mask": True, "padding_value": 0.25}, LONG),
    "wav2vec2-plain": ({**WAV2VEC2, "do_normalize": False}, SHORT),
    "clap-fused": (CLAP, LONG),
    "clap-short": ({**CLAP, "feature_size": 20}, [*SHORT, "float.wav"]),
    "clap-cut": ({**CLAP, "feature_size": 20, "truncation": "rand_trunc", "padding": "repeat"}, LONG),
    "clap-padded": ({**CLAP, "feature_size": 20, "truncation": "rand_trunc", "padding": "pad"}, SHORT),
}
# Of a large result a part is kept: every n-th of each dimension.
KEPT = {
    "whisper-published": {"input_features": (1, 9, 37)},
    "wav2vec2": {"input_values": (1, 5)},
    "wav2vec2-masked": {"input_values": (1, 5), "attention_mask": (1, 5)},
    "clap-fused": {"input_features": (1, 1, 1, 3)},
    "clap-short": {"input_features": (1, 2, 1, 1)},
}
# With the Pillow classes, too.
PILLOW = ["vit", "clip", "frames", "detr", "llava-next"]


def middle(low, high=None):
    """What stands for a random draw: the middle of a list, or of the whole numbers from `low` to below `high`."""
    return low[(len(low) - 1) // 2] if high is None else (low + high - 1) // 2


def numbers(features, prefix, kept):
    tensors = {}
    for name, value in features.items():
        value = np.asarray(value)
        value = value if value.dtype.kind == "f" else value.astype(np.int32)
        steps = tuple(slice(None, None, step) for step in kept.get(name, ()))
        tensors[f"{prefix}.{name}"] = np.ascontiguousarray(value[steps]).astype(value.dtype)
    return tensors


def write_case(name, config, files):
    paths = [str(HERE / "files" / file) for file in files]
    tensors = {}
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "preprocessor_config.json").write_text(json.dumps(config))
        if files[0].endswith("wav"):
            processor = AutoFeatureExtractor.from_pretrained(folder)
            sounds = [load_audio(path, processor.sampling_rate, backend="soundfile") for path in paths]
            options = {"sampling_rate": processor.sampling_rate}
            if "wav2vec2" in name:
                options["padding"] = True
            if "whisper" in name:
                # Without the argument, the configuration's own key gives a mask of samples, not of frames.
                options["return_attention_mask"] = processor.return_attention_mask
            results = {"default": processor(sounds, **options)}
            if "whisper" in name:
                processor._torch_extract_fbank_features = processor._np_extract_fbank_features
                results["numpy"] = processor(sounds, **options)
        else:
            # VideoMAE's takes no paths.
            paths = [load_image(path) for path in paths] if name == "frames" else paths
            processor = AutoImageProcessor.from_pretrained(folder)
            assert processor.backend == "torchvision"
            results = {"default": processor(paths, return_tensors="np")}
            if name in PILLOW:
                processor = AutoImageProcessor.from_pretrained(folder, backend="pil")
                results["pillow"] = processor(paths, return_tensors="np")
    for prefix, features in results.items():
        tensors.update(numbers(features, prefix, KEPT.get(name, {})))
    save_file(tensors, HERE / "cases" / f"{name}.safetensors")


def main():
    torch.set_num_threads(1)
    assert torch.backends.cpu.get_cpu_capability() in ("AVX2", "AVX512")
    shutil.rmtree(HERE, ignore_errors=True)
    (HERE / "files").mkdir(parents=True)
    (HERE / "cases").mkdir()
    write_pictures()
    write_sounds()
    write_steps()
    np.random.choice = np.random.randint = middle
    cases = []
    for name, (config, files) in CASES.items():
        write_case(name, config, files)
        case = {"name": name, "config": config, "files": files, "kept": KEPT.get(name, {})}
        cases.append(json.dumps(case))
    (HERE / "cases.json").write_text("[\n" + ",\n".join(cases) + "\n]\n")


if __name__ == "__main__":
    main()
