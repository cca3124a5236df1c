"""The built-in datasets: every module here whose name does not begin with an underscore is a plugin."""

if __name__ == "datasets":  # Somebody wanted Hugging Face's library and started Python in this project's folder.
    raise ImportError(
        "'import datasets' found the folder of the noisy-label benchmark instead of Hugging Face's library, because Python "
        "was started in the benchmark's own folder; start it elsewhere (the benchmark's own datasets are benchmark.datasets)"
    )
