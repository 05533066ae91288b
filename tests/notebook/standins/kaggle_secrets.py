class UserSecretsClient:
    def get_secret(self, label):
        if label == "KAGGLE_API_TOKEN":
            return "the-value-nobody-may-see"
        raise RuntimeError(f"No user secrets exist for {label}")
