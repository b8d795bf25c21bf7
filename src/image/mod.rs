//! Build, push and local trial of images through the Docker Engine API.
