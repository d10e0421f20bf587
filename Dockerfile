# A server of models, as SageMaker runs it: `docker run -v MODELS:/opt/ml/model IMAGE serve`.
FROM python:3.11-slim
RUN useradd --create-home lungcls
WORKDIR /home/lungcls
COPY . /src
RUN pip install --no-cache-dir --extra-index-url https://download.pytorch.org/whl/cpu \
    --constraint /src/constraints.txt '/src[serve]' && rm -rf /src
COPY scripts/container /usr/local/bin/container
USER lungcls
EXPOSE 8080
ENTRYPOINT ["container"]
CMD ["serve"]
