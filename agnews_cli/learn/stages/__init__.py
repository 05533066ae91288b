"""From a job to what is delivered: candidates tuned, compared and described."""
