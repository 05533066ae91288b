class SecretNotFoundError(Exception):
    pass


def get(key):
    if key == "HF_TOKEN":
        return "hf_the-value-nobody-may-see"
    raise SecretNotFoundError(key)
