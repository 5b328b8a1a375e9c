# One image for web, worker and tend; which of them it is, the command and the environment say (docker-compose.yml).
# It runs as nobody in particular, writes nothing outside /tmp and /checkpoints, and holds no secret.

FROM python:3.11-slim AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PYTHONDONTWRITEBYTECODE=1
WORKDIR /app
RUN python -m venv /venv
COPY requirements/base.txt requirements/base.txt
RUN /venv/bin/pip install --quiet --require-hashes -r requirements/base.txt
COPY manage.py .env.example ./
COPY portal portal
COPY iamroles iamroles
COPY templates templates
# The demo has no place in production: without its packages it could not start, without its code nobody can try.
RUN rm -rf portal/demo portal/settings/demo.py portal/settings/test.py
# The files keep the modes that they have on the host, whose umask may have let their owner alone read them.
RUN chmod -R a+rX /app
# Static files need settings that start, not secrets: these values are gone with this line.
RUN DJANGO_SETTINGS_MODULE=portal.settings.production \
    SECRET_KEY="$(python -c 'import secrets; print(secrets.token_urlsafe(64))')" \
    BASE_URL=https://build.invalid DATABASE_URL=postgresql://build.invalid/none REDIS_URL=redis://build.invalid/0 \
    /venv/bin/python manage.py collectstatic --no-input --verbosity 0

FROM python:3.11-slim
RUN useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin roledesk \
    && install -d -o 10001 -g 10001 -m 0750 /checkpoints
COPY --from=build /venv /venv
COPY --from=build /app /app
WORKDIR /app
ENV PATH=/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 \
    DJANGO_SETTINGS_MODULE=portal.settings.production
USER 10001:10001
EXPOSE 8000
# /dev/shm: gunicorn's heartbeat file must not wait for a disk. One proxy in front ends TLS and sets X-Forwarded-Proto.
CMD ["gunicorn", "portal.wsgi:application", "--bind=0.0.0.0:8000", "--worker-class=gthread", "--workers=2", \
     "--threads=8", "--timeout=60", "--graceful-timeout=30", "--worker-tmp-dir=/dev/shm", "--no-control-socket", \
     "--access-logfile=-", "--logger-class=portal.access_log.AccessLog", \
     "--access-logformat=%(h)s %(t)s \"%(r)s\" %(s)s %(b)s %(L)ss \"%(f)s\" \"%(a)s\" %({x-request-id}o)s"]
